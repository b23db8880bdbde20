//! Dead letters as the worker makes and publishes them.

mod letter;
mod publish;

pub use letter::letters;
pub use publish::{NAME, publish_some, run};
