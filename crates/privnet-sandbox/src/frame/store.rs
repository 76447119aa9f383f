//! A cloud's world on disk: `<dir>/<name>.json`, one locked transaction at a time, cached in memory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::SandboxError;

/// A world that several processes can share.
///
/// `<name>.lock` holds the lock and a generation number: a process reads the world again only when another one has changed
/// it, so that a read of an unchanged world costs a lock and no parsing. `W::default()` is the world of a new folder.
#[derive(Debug)]
pub struct Store<W> {
    path: PathBuf,
    inner: Mutex<Inner<W>>,
}

#[derive(Debug)]
struct Inner<W> {
    lock: File,
    generation: Option<u64>,
    current: Arc<W>,
    /// The world before the last change that this process saw: what a stale read answers from.
    previous: Arc<W>,
}

/// The world within one transaction. Reading is free; the first `&mut` access marks the world as changed.
#[derive(Debug)]
pub struct Transaction<W: Clone> {
    world: Arc<W>,
    changed: bool,
}

impl<W: Clone> Transaction<W> {
    /// The world as it is now, to come back to with [`Self::restore`]. Costs nothing until the world is changed.
    pub fn checkpoint(&self) -> Checkpoint<W> {
        Checkpoint { world: self.world.clone(), changed: self.changed }
    }

    /// Takes back all that was changed since the checkpoint: a request that fails has no effect.
    pub fn restore(&mut self, checkpoint: Checkpoint<W>) {
        self.world = checkpoint.world;
        self.changed = checkpoint.changed;
    }
}

/// A state within a transaction to come back to.
#[derive(Debug)]
pub struct Checkpoint<W> {
    world: Arc<W>,
    changed: bool,
}

impl<W: Clone> Deref for Transaction<W> {
    type Target = W;
    fn deref(&self) -> &W {
        &self.world
    }
}

impl<W: Clone> DerefMut for Transaction<W> {
    fn deref_mut(&mut self) -> &mut W {
        self.changed = true;
        Arc::make_mut(&mut self.world)
    }
}

impl<W: Serialize + DeserializeOwned + Default + Clone> Store<W> {
    /// Opens `<dir>/<name>.json`. The file is made at the first change.
    pub fn open(dir: &Path, name: &str) -> Result<Self, SandboxError> {
        let io = |e| SandboxError::io(format!("open the state in {}", dir.display()), e);
        fs::create_dir_all(dir).map_err(io)?;
        let lock = open_lock(dir, name).map_err(io)?;
        let world = Arc::new(W::default());
        let inner = Inner { lock, generation: None, current: world.clone(), previous: world };
        let store = Self { path: dir.join(format!("{name}.json")), inner: Mutex::new(inner) };
        store.transact(|_| ())?;
        Ok(store)
    }

    /// Runs one transaction: lock, read again if another process changed the world, run, write if it was changed, unlock.
    pub fn transact<T>(&self, run: impl FnOnce(&mut Transaction<W>) -> T) -> Result<T, SandboxError> {
        let mut inner = self.locked()?;
        let result = self.transact_locked(&mut inner, run);
        let unlocked = inner.lock.unlock();
        let value = result?;
        unlocked.map_err(|e| self.io("unlock", e))?;
        Ok(value)
    }

    /// Runs over the world as it was one change ago, as a lagging replica answers. What `run` changes is thrown away.
    pub fn transact_stale<T>(&self, run: impl FnOnce(&mut Transaction<W>) -> T) -> Result<T, SandboxError> {
        let world = self.inner.lock().unwrap_or_else(PoisonError::into_inner).previous.clone();
        Ok(run(&mut Transaction { world, changed: false }))
    }

    fn locked(&self) -> Result<MutexGuard<'_, Inner<W>>, SandboxError> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.lock.lock().map_err(|e| self.io("lock", e))?;
        Ok(inner)
    }

    fn transact_locked<T>(
        &self,
        inner: &mut Inner<W>,
        run: impl FnOnce(&mut Transaction<W>) -> T,
    ) -> Result<T, SandboxError> {
        let generation =
            read_generation(&mut inner.lock).map_err(|e| self.io("read the generation of", e))?;
        if inner.generation != Some(generation) {
            let fresh = Arc::new(self.load()?);
            // The first look of a process has no earlier state to lag behind.
            inner.previous = if inner.generation.is_none() { fresh.clone() } else { inner.current.clone() };
            inner.current = fresh;
            inner.generation = Some(generation);
        }
        let mut transaction = Transaction { world: inner.current.clone(), changed: false };
        let value = run(&mut transaction);
        if transaction.changed {
            let text = serde_json::to_vec(&*transaction.world).map_err(|e| self.io("write", e.into()))?;
            write_generation(&mut inner.lock, generation + 1)
                .map_err(|e| self.io("write the generation of", e))?;
            replace_file(&self.path, &text).map_err(|e| self.io("write", e))?;
            inner.generation = Some(generation + 1);
            inner.previous = std::mem::replace(&mut inner.current, transaction.world);
        }
        Ok(value)
    }

    fn load(&self) -> Result<W, SandboxError> {
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| SandboxError::Corrupt { path: self.path.clone(), source }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(W::default()),
            Err(e) => Err(self.io("read", e)),
        }
    }

    fn io(&self, what: &str, source: io::Error) -> SandboxError {
        SandboxError::io(format!("{what} {}", self.path.display()), source)
    }
}

/// Deletes a world, so that it is the default one again for every process that has it open.
pub(crate) fn reset(dir: &Path, name: &str) -> Result<(), SandboxError> {
    let run = || -> io::Result<()> {
        let mut lock = open_lock(dir, name)?;
        lock.lock()?;
        let generation = read_generation(&mut lock)?;
        write_generation(&mut lock, generation + 1)?;
        match fs::remove_file(dir.join(format!("{name}.json"))) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => lock.unlock(),
        }
    };
    if !dir.exists() {
        return Ok(());
    }
    run().map_err(|e| SandboxError::io(format!("reset {name} in {}", dir.display()), e))
}

/// Writes a file so that readers see the old text or the new, never a part.
pub(crate) fn replace_file(path: &Path, text: &[u8]) -> io::Result<()> {
    // A name of its own for each write: other processes, and other threads of this one, may be writing too.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}-{}.new", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

fn open_lock(dir: &Path, name: &str) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join(format!("{name}.lock")))
}

fn read_generation(lock: &mut File) -> io::Result<u64> {
    let mut text = String::new();
    lock.seek(SeekFrom::Start(0))?;
    lock.read_to_string(&mut text)?;
    Ok(text.trim().parse().unwrap_or(0))
}

fn write_generation(lock: &mut File, generation: u64) -> io::Result<()> {
    lock.seek(SeekFrom::Start(0))?;
    // Never shorter than before, so that nothing needs truncating.
    lock.write_all(format!("{generation:020}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Clone, Serialize, serde::Deserialize)]
    struct Counter {
        n: u64,
    }

    #[test]
    fn two_stores_see_each_others_writes_and_lose_none() {
        let dir = tempfile::tempdir().unwrap();
        let stores: Vec<_> = (0..4).map(|_| Store::<Counter>::open(dir.path(), "c").unwrap()).collect();
        std::thread::scope(|scope| {
            for store in &stores {
                scope.spawn(|| (0..25).for_each(|_| store.transact(|w| w.n += 1).unwrap()));
            }
        });
        assert_eq!(stores[0].transact(|w| w.n).unwrap(), 100);
        assert_eq!(Store::<Counter>::open(dir.path(), "c").unwrap().transact(|w| w.n).unwrap(), 100);
    }

    #[test]
    fn a_read_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::<Counter>::open(dir.path(), "c").unwrap();
        assert_eq!(store.transact(|w| w.n).unwrap(), 0);
        assert!(!dir.path().join("c.json").exists());
    }

    #[test]
    fn a_stale_read_is_one_change_behind_and_keeps_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::<Counter>::open(dir.path(), "c").unwrap();
        store.transact(|w| w.n = 1).unwrap();
        store.transact(|w| w.n = 2).unwrap();
        assert_eq!(store.transact_stale(|w| w.n).unwrap(), 1);
        store.transact_stale(|w| w.n = 9).unwrap();
        assert_eq!(store.transact(|w| w.n).unwrap(), 2);
    }

    #[test]
    fn a_restored_transaction_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::<Counter>::open(dir.path(), "c").unwrap();
        let change = |world: &mut Transaction<Counter>| {
            let before = world.checkpoint();
            world.n = 5;
            world.restore(before);
        };
        store.transact(change).unwrap();
        assert_eq!(store.transact(|w| w.n).unwrap(), 0);
        assert!(!dir.path().join("c.json").exists());
    }

    #[test]
    fn a_reset_reaches_an_open_store() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::<Counter>::open(dir.path(), "c").unwrap();
        store.transact(|w| w.n = 7).unwrap();
        reset(dir.path(), "c").unwrap();
        assert_eq!(store.transact(|w| w.n).unwrap(), 0);
    }

    #[test]
    fn a_foreign_file_is_an_error_not_an_empty_world() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("c.json"), "[]x").unwrap();
        assert!(matches!(Store::<Counter>::open(dir.path(), "c"), Err(SandboxError::Corrupt { .. })));
    }
}
