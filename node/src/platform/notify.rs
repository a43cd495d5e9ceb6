//! The socket of a service manager, sd_notify(3): there is one on Unix.

use std::ffi::OsStr;
use std::io;

/// See the module.
#[derive(Debug)]
pub(crate) struct Notify {
    #[cfg(unix)]
    socket: std::os::unix::net::UnixDatagram,
}

#[cfg(unix)]
impl Notify {
    /// A path, or `@NAME` in the abstract namespace of Linux. What is said never waits.
    pub(crate) fn connect(address: &OsStr) -> io::Result<Self> {
        use std::os::unix::ffi::OsStrExt as _;
        let socket = std::os::unix::net::UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        #[cfg(target_os = "linux")]
        if let Some(name) = address.as_bytes().strip_prefix(b"@") {
            use std::os::linux::net::SocketAddrExt as _;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.connect_addr(&address)?;
            return Ok(Self { socket });
        }
        socket.connect(OsStr::from_bytes(address.as_bytes()))?;
        Ok(Self { socket })
    }

    /// Full, or gone: neither is a reason to stop.
    pub(crate) fn say(&self, words: &str) {
        let _ = self.socket.send(words.as_bytes());
    }
}

#[cfg(not(unix))]
impl Notify {
    /// There is none.
    pub(crate) fn connect(_address: &OsStr) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// To nobody.
    pub(crate) fn say(&self, _words: &str) {}
}
