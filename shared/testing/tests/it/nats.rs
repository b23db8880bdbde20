//! Private NATS servers.

use async_nats::jetstream::{self, Context, stream::Config};
use tiris_testing::NatsServer;

async fn jetstream(server: &NatsServer) -> Context {
    let client = async_nats::connect(server.url()).await;
    jetstream::new(client.expect("a connection"))
}

async fn publish(server: &NatsServer) {
    let jetstream = jetstream(server).await;
    let published = jetstream.publish("kept.one", "x".into()).await;
    let acknowledged = published.expect("published").await;
    acknowledged.expect("acknowledged");
}

async fn messages(server: &NatsServer) -> u64 {
    let stream = jetstream(server).await.get_stream("KEPT").await;
    stream.expect("the stream").cached_info().state.messages
}

#[tokio::test]
async fn messages_survive_kill_and_stop() {
    let mut server = NatsServer::private().await.unwrap();
    let url = server.url();
    let config = Config {
        name: "KEPT".into(),
        subjects: vec!["kept.>".into()],
        ..Config::default()
    };
    let jetstream = jetstream(&server).await;
    jetstream.create_stream(config).await.unwrap();

    publish(&server).await;
    server.kill().await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);
    assert_eq!(messages(&server).await, 1);

    publish(&server).await;
    server.stop().await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);
    assert_eq!(messages(&server).await, 2);
}
