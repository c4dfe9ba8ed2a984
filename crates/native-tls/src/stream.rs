//! A connection over which TLS is spoken, on a socket that may not block.

use std::io::{self, ErrorKind, Read, Write};

use rustls::ClientConnection;

/// Reads and writes plain bytes; the socket has the encrypted ones.
#[derive(Debug)]
pub struct TlsStream<S> {
    /// In a box: it has a kilobyte, and errors carry it.
    connection: Box<ClientConnection>,
    socket: S,
    /// Bytes of a caller that are encrypted but not sent. The caller was told to try again, and must
    /// come with the same bytes.
    accepted: usize,
}

impl<S: Read + Write> TlsStream<S> {
    pub(crate) fn new(connection: ClientConnection, socket: S) -> Self {
        Self { connection: Box::new(connection), socket, accepted: 0 }
    }

    /// The socket.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    pub(crate) fn shake_hands(&mut self) -> io::Result<()> {
        while self.connection.is_handshaking() {
            self.connection.complete_io(&mut self.socket)?;
        }
        self.send()
    }

    /// Says that nothing more comes.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.connection.send_close_notify();
        self.send()
    }

    /// Sends what is encrypted.
    fn send(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut self.socket)? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Receives until there is something to read; `false` at the end of the stream.
    fn receive(&mut self) -> io::Result<bool> {
        let received = self.connection.read_tls(&mut self.socket)?;
        let result = self.connection.process_new_packets();
        if let Err(error) = result {
            // The alert that says why.
            let _ = self.send();
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        Ok(received > 0)
    }
}

impl<S: Read + Write> Read for TlsStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The end without a farewell, which Postgres does not always send.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
            // A reply may wait for what is not sent yet; a full socket must not keep it from us.
            match self.send() {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _sent => {}
            }
            self.receive()?;
        }
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.send()?;
        if self.accepted == 0 {
            self.accepted = self.connection.writer().write(buffer)?;
            self.send()?;
        }
        Ok(std::mem::take(&mut self.accepted).min(buffer.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}
