//! A bounded queue to one thread that may block: how whatever is slow (a file, a pipe, a collector) is kept away from
//! whoever must not wait.
//!
//! Putting in takes a short lock and never waits; a full queue refuses, and who put in counts that. The thread takes a
//! batch at a time and says of each item when it is done with it, so that at the end, when the time is up and the thread is
//! stuck, what is not done is known to the last item: it is given up, counted once, and the thread's later word on it is
//! not heard. Should its work panic, the queue closes, and what comes later is refused and counted likewise.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why an item was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// So many wait as may.
    Full,
    /// The queue has ended.
    Closed,
}

/// How items wait, and how many go at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// How many items may wait; at least 1.
    pub queue: usize,
    /// How many are taken at a time, at most; at least 1.
    pub batch: usize,
    /// How long a batch may wait to become full, from when its thread met its first item. Zero: not at all.
    pub delay: Duration,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is true by itself: closed before it ended, abandoned or not")]
struct State<T> {
    waiting: VecDeque<T>,
    /// Taken out and not done.
    taken: usize,
    /// The thread has been woken for what waits.
    woken: bool,
    closed: bool,
    /// What was left has been given up.
    abandoned: bool,
    /// The thread has ended.
    ended: bool,
}

/// The queue; shared by who puts in and the thread.
#[derive(Debug)]
pub struct BatchQueue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    batching: Batching,
}

impl<T> BatchQueue<T> {
    /// An empty one. Room is taken as it is needed.
    pub fn new(batching: Batching) -> BatchQueue<T> {
        let queue = batching.queue.max(1);
        let batching = Batching { queue, batch: batching.batch.clamp(1, queue), ..batching };
        let (waiting, closed) = (VecDeque::new(), false);
        let state = State { waiting, taken: 0, woken: false, closed, abandoned: false, ended: false };
        BatchQueue { state: Mutex::new(state), changed: Condvar::new(), batching }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts one in and wakes the thread. Never waits.
    pub fn push(&self, item: T) -> Result<(), NotTaken> {
        let taken = self.push_quietly(item);
        if taken.is_ok() {
            self.wake();
        }
        taken
    }

    /// Puts one in; the thread is woken only if that fills a batch. Call [`wake`](Self::wake) after the last of several.
    pub fn push_quietly(&self, item: T) -> Result<(), NotTaken> {
        let mut state = self.lock();
        if state.closed {
            return Err(NotTaken::Closed);
        }
        if state.waiting.len() >= self.batching.queue {
            return Err(NotTaken::Full);
        }
        state.waiting.push_back(item);
        let full = state.waiting.len() == self.batching.batch;
        state.woken |= full;
        drop(state);
        if full {
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Wakes the thread if something waits for which it has not been woken.
    pub fn wake(&self) {
        let mut state = self.lock();
        if state.waiting.is_empty() || std::mem::replace(&mut state.woken, true) {
            return;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Runs the thread: shows each batch to `work`, until the queue is closed and empty or was given up. `work` calls
    /// [`done`](Self::done) for the items; what it leaves in the batch is dropped.
    pub fn run(&self, work: impl FnMut(&mut Vec<T>)) {
        self.run_ticking(None, work);
    }

    /// The same; and when nothing came for so long, `work` is shown an empty batch.
    pub fn run_ticking(&self, tick: Option<Duration>, mut work: impl FnMut(&mut Vec<T>)) {
        let _ended = EndsWith(self);
        let mut batch = Vec::new();
        while self.next(tick, &mut batch) {
            work(&mut batch);
            batch.clear();
        }
    }

    /// The next batch: as soon as it is full, `delay` after its first item, or at once when the queue is closed; an empty one
    /// after a `tick`. False when nothing more is to be done.
    fn next(&self, tick: Option<Duration>, batch: &mut Vec<T>) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            state.woken = false;
            if state.closed {
                return false;
            }
            let Some(tick) = tick else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let waited = self.changed.wait_timeout(state, tick).unwrap_or_else(PoisonError::into_inner);
            if waited.1.timed_out() && waited.0.waiting.is_empty() && !waited.0.closed {
                return true;
            }
            state = waited.0;
        }
        let met = Instant::now();
        while state.waiting.len() < self.batching.batch && !state.closed {
            let left = self.batching.delay.saturating_sub(met.elapsed());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = state.waiting.len().min(self.batching.batch);
        batch.extend(state.waiting.drain(..count));
        state.taken = count;
        count > 0
    }

    /// The thread is done with so many of the batch, for better or worse: `settle` may count them. It is not called, and
    /// this is false, if they have been given up.
    pub fn done(&self, items: usize, settle: impl FnOnce()) -> bool {
        let mut state = self.lock();
        if state.abandoned {
            return false;
        }
        state.taken = state.taken.saturating_sub(items);
        settle();
        true
    }

    /// Whether what is not done has been given up: the thread need not go on.
    pub fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// Takes nothing more; what waits is worked off at once.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Closes, waits until the thread has ended or the `deadline` has passed, and gives up the rest: how many items. Blocks.
    pub fn end(&self, deadline: Instant) -> usize {
        self.close();
        let mut state = self.lock();
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.abandon()
    }

    /// Closes and gives up what is not done: how many items. Does not wait.
    pub fn abandon(&self) -> usize {
        let mut state = self.lock();
        state.closed = true;
        state.abandoned = true;
        let lost = state.waiting.len() + std::mem::take(&mut state.taken);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.changed.notify_all();
        drop(waiting);
        lost
    }
}

/// The thread's end, a panic's too.
struct EndsWith<'a, T>(&'a BatchQueue<T>);

impl<T> Drop for EndsWith<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.ended = true;
        drop(state);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Barrier};
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn queue(queue: usize, batch: usize) -> Arc<BatchQueue<u32>> {
        Arc::new(BatchQueue::new(Batching { queue, batch, delay: Duration::ZERO }))
    }

    fn soon() -> Instant {
        Instant::now() + LONG
    }

    #[test]
    fn what_is_put_in_comes_out_in_order_and_the_end_waits_for_it() {
        let q = queue(1000, 3);
        let (told, seen) = channel();
        let of_thread = Arc::clone(&q);
        let thread = thread::spawn(move || {
            of_thread.run(|batch| {
                assert!(batch.len() <= 3);
                let n = batch.len();
                batch.drain(..).for_each(|item| told.send(item).unwrap());
                of_thread.done(n, || ());
            });
        });
        (0..500).for_each(|n| q.push(n).unwrap());
        (500..1000).for_each(|n| while q.push_quietly(n).is_err() {});
        assert_eq!(q.end(soon()), 0);
        thread.join().unwrap();
        assert_eq!(seen.iter().collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>());
        assert_eq!(q.push(1), Err(NotTaken::Closed));
    }

    #[test]
    fn a_stuck_thread_fills_the_queue_and_at_the_end_each_item_is_counted_once() {
        let q = queue(5, 3);
        let (in_work, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (of_thread, here, on) = (Arc::clone(&q), Arc::clone(&in_work), Arc::clone(&go_on));
        (0..3).for_each(|n| q.push(n).unwrap());
        let thread = thread::spawn(move || {
            let mut late = Vec::new();
            of_thread.run(|batch| {
                assert_eq!(*batch, [0, 1, 2]);
                let counted = of_thread.done(1, || ());
                here.wait();
                on.wait();
                late.extend([counted, of_thread.done(2, || unreachable!("it was counted as lost"))]);
            });
            late
        });
        in_work.wait();
        (3..8).for_each(|n| q.push(n).unwrap());
        assert_eq!(q.push(8), Err(NotTaken::Full));
        assert_eq!(q.end(Instant::now()), 7, "two of the batch and five that waited");
        assert_eq!(q.abandon(), 0, "once");
        assert!(q.is_abandoned());
        go_on.wait();
        assert_eq!(thread.join().unwrap(), [true, false], "and the thread ended without another batch");
    }

    #[test]
    fn a_panic_in_the_work_loses_no_count() {
        let q = queue(10, 2);
        (0..4).for_each(|n| q.push(n).unwrap());
        let worked = catch_unwind(AssertUnwindSafe(|| q.run(|_| panic!("of this test"))));
        assert!(worked.is_err());
        assert_eq!(q.push(4), Err(NotTaken::Closed));
        assert_eq!(q.end(soon()), 4);
    }

    #[test]
    fn an_idle_thread_ticks() {
        let q = queue(10, 10);
        let mut sizes = Vec::new();
        q.run_ticking(Some(Duration::from_millis(1)), |batch| {
            sizes.push(batch.len());
            match sizes.len() {
                1 => q.push(1).unwrap(),
                2 => q.close(),
                _ => {}
            }
        });
        assert_eq!(sizes, [0, 1]);
    }

    #[test]
    fn a_batch_waits_until_it_is_full_or_the_queue_is_closed() {
        let q: Arc<BatchQueue<u32>> = Arc::new(BatchQueue::new(Batching { queue: 10, batch: 2, delay: LONG }));
        let (told, seen) = channel();
        let of_thread = Arc::clone(&q);
        let thread = thread::spawn(move || of_thread.run(|batch| told.send(batch.clone()).unwrap()));
        q.push(1).unwrap();
        q.push(2).unwrap();
        assert_eq!(seen.recv_timeout(LONG), Ok(vec![1, 2]));
        q.push(3).unwrap();
        q.close();
        assert_eq!(seen.recv_timeout(LONG), Ok(vec![3]));
        thread.join().unwrap();
    }
}
