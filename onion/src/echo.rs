//! A port that sends back what it receives: the bare round trip of a service, to compare other
//! times with.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
    time::timeout,
};

use crate::{OnionStream, task::serve_each};

/// Streams echoed at once. A measurement needs one or two.
const MAX_ECHOES: usize = 8;
/// A stream on which nothing is received for this long is closed.
const IDLE_LIMIT: Duration = Duration::from_secs(120);
/// Bytes read before they are sent back: about 32 relay cells' payload.
const CHUNK: usize = 16 * 1024;

/// Echoes streams until the channel closes.
pub(crate) async fn serve(mut streams: mpsc::Receiver<OnionStream>) {
    serve_each(futures::stream::poll_fn(|cx| streams.poll_recv(cx)), MAX_ECHOES, echo).await;
}

/// Echoes one stream until it ends, fails, or is idle for too long.
async fn echo(mut stream: OnionStream) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(Ok(n)) = timeout(IDLE_LIMIT, stream.read(&mut buffer)).await {
        if n == 0 || stream.write_all(&buffer[..n]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}
