//! One connection through the proxy: two directions that watch the same mode.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use super::Mode;

const PIECE: usize = 64 * 1024;

/// Waits until bytes may flow. An error when the connection has to end instead.
pub(super) async fn while_cut(mode: &mut watch::Receiver<Mode>) -> io::Result<()> {
    loop {
        let now = *mode.borrow_and_update();
        match now {
            Mode::Pass | Mode::Delay(_) => return Ok(()),
            Mode::Reset | Mode::HalfClose => return Err(cut()),
            Mode::Stall | Mode::BlackHole => {
                mode.changed().await.map_err(|_| cut())?;
                if now == Mode::BlackHole {
                    return Err(cut());
                }
            }
        }
    }
}

/// Carries bytes until both sides have ended, or the mode ends the connection, which is then reset.
pub(super) async fn carry(client: TcpStream, server: TcpStream, mode: watch::Receiver<Mode>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asked = pump(&mut from_client, &mut to_server, mode.clone(), Side::Client);
    let answered = pump(&mut from_server, &mut to_client, mode, Side::Server);
    if tokio::try_join!(asked, answered).is_err() {
        // Where it can't be set, the peer sees an ordinary end.
        let _ = from_client.as_ref().set_zero_linger();
        let _ = from_server.as_ref().set_zero_linger();
        // Dropped, these would say goodbye in good order first.
        to_client.forget();
        to_server.forget();
    }
}

/// Where a direction comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

async fn pump(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    side: Side,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        if *mode.borrow_and_update() == Mode::HalfClose {
            return half_close(from, to, mode, side).await;
        }
        while_cut(&mut mode).await?;
        let read = tokio::select! {
            biased;
            changed = mode.changed() => {
                changed.map_err(|_| cut())?;
                continue;
            }
            read = from.read(&mut piece) => read?,
        };
        if read == 0 {
            return to.shutdown().await;
        }
        let delay = if let Mode::Delay(delay) = *mode.borrow() { Some(delay) } else { None };
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        if *mode.borrow_and_update() != Mode::HalfClose {
            while_cut(&mut mode).await?;
            to.write_all(&piece[..read]).await?;
        }
    }
}

/// The client sees an end, what it still says is thrown away, and the server sees nothing at all until the mode changes.
async fn half_close(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    side: Side,
) -> io::Result<()> {
    match side {
        Side::Server => to.shutdown().await?,
        Side::Client => {
            let mut thrown_away = vec![0; PIECE];
            loop {
                tokio::select! {
                    _ = mode.changed() => return Err(cut()),
                    read = from.read(&mut thrown_away) => if read? == 0 { break },
                }
            }
        }
    }
    let _ = mode.changed().await;
    Err(cut())
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}
