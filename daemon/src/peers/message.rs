//! Messages on a stream: a length of four bytes, big-endian, and the body. The length is checked
//! before memory is reserved for the body.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Reads one message of at most `most` bytes.
///
/// # Errors
/// The stream ends or fails, or announces a longer message.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), most: usize) -> io::Result<Vec<u8>> {
    let len = stream.read_u32().await? as usize;
    if len > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {len} bytes, where {most} are the most"),
        ));
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Writes one message and flushes the stream.
///
/// # Errors
/// The stream fails, or the body has 4 GiB or more.
pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), body: Vec<u8>) -> io::Result<()> {
    let len = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut message = body;
    message.reserve_exact(4);
    message.splice(..0, len.to_be_bytes());
    stream.write_all(&message).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn message_round_trips() {
        let mut bytes = Vec::new();
        write(&mut bytes, b"one".to_vec()).await.unwrap();
        write(&mut bytes, Vec::new()).await.unwrap();
        let mut stream = bytes.as_slice();
        assert_eq!(read(&mut stream, 3).await.unwrap(), b"one");
        assert_eq!(read(&mut stream, 3).await.unwrap(), b"");
        assert_eq!(read(&mut stream, 3).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn false_length_reserves_no_memory() {
        let mut stream: &[u8] = &u32::MAX.to_be_bytes();
        assert_eq!(read(&mut stream, 16_384).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
