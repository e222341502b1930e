//! SQLite's disk is full, or cannot be written to any more.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tempfile::TempDir;

use super::super::{
    ChaosError, Context, Row,
    scene::{Scene, Setup},
};

/// Enough for the run, little enough to be filled in a moment.
const SIZE: &str = "size=96m";

/// Webhooks get 503 while nothing can be written, and everything goes on afterwards.
pub(super) async fn full(context: Context) -> Result<Row, ChaosError> {
    match Tmpfs::mount() {
        Ok(disk) => {
            let data = Some(disk.folder.path().join("data"));
            let mut scene = Scene::open(&context, Setup { data, ..Setup::default() }).await?;
            for _ in 0..context.times(3, 1) {
                scene.wait(500, 1_200).await;
                disk.fill().map_err(ChaosError::Files)?;
                refuses(&scene, Duration::from_secs(20)).await?;
                scene.faults += 1;
                tokio::time::sleep(context.seconds(2.0, 0.5)).await;
                disk.empty().map_err(ChaosError::Files)?;
            }
            scene.more(50).await;
            scene.note = "tmpfs".to_owned();
            // The disk goes after the routers.
            scene.close(&context).await
        }
        Err(_) => limited(context).await,
    }
}

/// Without the right to mount: no file may grow beyond what it is.
async fn limited(context: Context) -> Result<Row, ChaosError> {
    let setup = Setup { file_size_limited: true, ..Setup::default() };
    let mut scene = Scene::open(&context, setup).await?;
    for _ in 0..context.times(3, 1) {
        scene.wait(500, 1_200).await;
        let pid = scene.stack.router_pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let set = |current| prlimit(pid, Resource::Fsize, Rlimit { current, maximum: None });
        let io = |error: rustix::io::Errno| ChaosError::Files(error.into());
        set(Some(0)).map_err(io)?;
        let refused = refuses(&scene, Duration::from_secs(20)).await;
        scene.faults += 1;
        tokio::time::sleep(context.seconds(2.0, 0.5)).await;
        set(None).map_err(io)?;
        refused?;
    }
    scene.more(50).await;
    scene.note = "RLIMIT_FSIZE, as no tmpfs can be mounted here".to_owned();
    scene.close(&context).await
}

/// The files can't be changed for a while, as on a file system that went read-only.
pub(super) async fn read_only(context: Context) -> Result<Row, ChaosError> {
    let folder = tempfile::tempdir().map_err(ChaosError::Files)?;
    Immutable::of(vec![
        File::create(folder.path().join("try"))
            .map(|_| folder.path().join("try"))
            .map_err(ChaosError::Files)?,
    ])?;
    let data = Some(folder.path().join("data"));
    let mut scene = Scene::open(&context, Setup { data, ..Setup::default() }).await?;
    for _ in 0..context.times(3, 1) {
        scene.wait(500, 1_200).await;
        let files = ["router.db", "router.db-wal"].map(|name| scene.stack.data_dir().join(name));
        let immutable = Immutable::of(files.to_vec())?;
        refuses(&scene, Duration::from_secs(20)).await?;
        scene.faults += 1;
        tokio::time::sleep(context.seconds(2.0, 0.5)).await;
        drop(immutable);
    }
    scene.more(50).await;
    scene.note = "chattr +i".to_owned();
    scene.close(&context).await
}

/// Waits until webhooks are refused; that they are is what the case is about.
async fn refuses(scene: &Scene, patience: Duration) -> Result<(), ChaosError> {
    let before = scene.recorder.refusals();
    let refused = async {
        while scene.recorder.refusals() < before + 5 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(patience, refused)
        .await
        .map_err(|_| ChaosError::Nothing("webhooks were taken although nothing could be written".to_owned()))
}

/// A small file system in memory.
struct Tmpfs {
    folder: TempDir,
}

impl Tmpfs {
    fn mount() -> Result<Self, ChaosError> {
        let folder = tempfile::tempdir().map_err(ChaosError::Files)?;
        // Made first: if mounting fails it is only a folder.
        run(Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder.path()))?;
        Ok(Self { folder })
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }

    fn fill(&self) -> std::io::Result<()> {
        let mut filler = File::create(self.filler())?;
        let piece = vec![0; 64 * 1024];
        // Ever smaller, until nothing fits.
        for size in [piece.len(), 4096, 1] {
            while filler.write_all(&piece[..size]).is_ok() {}
        }
        Ok(())
    }

    fn empty(&self) -> std::io::Result<()> {
        fs::remove_file(self.filler())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a router that still ends may hold it.
        let _ = run(Command::new("umount").arg("-l").arg(self.folder.path()));
    }
}

/// Files that nobody can change until this is dropped.
struct Immutable(Vec<PathBuf>);

impl Immutable {
    fn of(files: Vec<PathBuf>) -> Result<Self, ChaosError> {
        let made = Self(files);
        for file in &made.0 {
            run(Command::new("chattr").arg("+i").arg(file))?;
        }
        if made.0.iter().any(|file| is_writable(file)) {
            return Err(ChaosError::NotHere(
                "root is needed, and a file system that knows chattr +i".to_owned(),
            ));
        }
        Ok(made)
    }
}

fn is_writable(file: &Path) -> bool {
    File::options().append(true).open(file).is_ok()
}

impl Drop for Immutable {
    fn drop(&mut self) {
        for file in &self.0 {
            let _ = run(Command::new("chattr").arg("-i").arg(file));
        }
    }
}

fn run(command: &mut Command) -> Result<(), ChaosError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let why = || ChaosError::NotHere(format!("{name} is not possible here, it needs root"));
    let output = command.output().map_err(|_| why())?;
    if output.status.success() { Ok(()) } else { Err(why()) }
}
