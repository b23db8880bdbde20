//! Answers that their client does not read yet.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The buffer of a client: much smaller than a large answer.
const BUFFER_BYTES: u32 = 64 * 1024;
const CHUNKS_END: &[u8] = b"\r\n0\r\n\r\n";

/// A request that was sent.
pub(crate) struct Asked {
    stream: TcpStream,
    path: String,
}

/// A successful answer whose body was not read.
pub(crate) struct Held {
    stream: TcpStream,
    /// The path of the request.
    pub(crate) path: String,
    head: String,
    /// The bytes that came with the head.
    begun: Vec<u8>,
}

/// Sends a GET.
pub(crate) async fn ask(address: SocketAddr, token: &str, path: &str, accept: &str) -> Asked {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_recv_buffer_size(BUFFER_BYTES)
        .expect("a small buffer");
    let mut stream = socket.connect(address).await.expect("connected");
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\naccept: {accept}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let path = path.to_owned();
    Asked { stream, path }
}

impl Asked {
    /// Waits for the head of a successful answer.
    pub(crate) async fn begun(mut self) -> Held {
        let mut bytes: Vec<u8> = Vec::new();
        let end = loop {
            let read = self.stream.read_buf(&mut bytes).await.expect("a head");
            assert!(read > 0, "{}: no answer", self.path);
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
        };
        let begun = bytes.split_off(end + 4);
        let head = String::from_utf8(bytes).expect("text").to_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{}: {head}", self.path);

        Held {
            stream: self.stream,
            path: self.path,
            head,
            begun,
        }
    }
}

impl Held {
    /// Reads the whole body, and returns its bytes.
    pub(crate) async fn read(mut self) -> Vec<u8> {
        let mut body = self.begun;
        self.stream.read_to_end(&mut body).await.expect("a body");

        let mut lines = self.head.lines();
        match lines.find_map(|line| line.strip_prefix("content-length: ")) {
            Some(length) => assert_eq!(length, body.len().to_string(), "{}", self.path),
            None => assert!(body.ends_with(CHUNKS_END), "{} is cut off", self.path),
        }
        body
    }
}
