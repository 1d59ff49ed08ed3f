//! What waits to be written. Progress is dropped if too much waits. The caller bounds the size of
//! everything else: while the queue is full, it prints only results.

use std::{collections::VecDeque, time::Duration};

use super::Drawing;

/// If more bytes than this wait to be written, progress is dropped. These are about 10,000 lines.
const MAX_BYTES_FOR_PROGRESS: usize = 1 << 20;

/// If this many bytes wait to be written, the queue is full until half of them are written.
///
/// The caller then drops many events in one place, and not single ones in many places. With
/// `-o jsonl`, these bytes are the events of about a quarter of an hour at 50 requests per second.
const MAX_BYTES: usize = 64 << 20;

/// Something to write.
pub(super) enum Item {
    /// A line for stderr that may be dropped.
    Progress(Vec<u8>),
    Stderr(Vec<u8>),
    Stdout(Vec<u8>),
    /// A drawing, and the processor time that it took so far.
    Draw {
        make: Box<dyn FnOnce() -> Drawing + Send>,
        took: Duration,
    },
    RemoveTree,
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Self::Progress(bytes) | Self::Stderr(bytes) | Self::Stdout(bytes) => bytes.len(),
            Self::Draw { .. } | Self::RemoveTree => 0,
        }
    }
}

/// What waits to be written.
pub(super) struct Queue {
    items: VecDeque<Item>,
    /// The bytes of all items, including the item that is being written.
    bytes: usize,
    /// The bytes of the item that is being written.
    writing: usize,
    /// The lines of progress that were dropped since the last item.
    dropped: usize,
    is_open: bool,
    is_full: bool,
}

impl Queue {
    /// Creates a queue that is closed.
    pub(super) const fn new() -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
            writing: 0,
            dropped: 0,
            is_open: false,
            is_full: false,
        }
    }

    pub(super) const fn open(&mut self) {
        self.is_open = true;
    }

    /// Accepts no more items.
    pub(super) fn close(&mut self) {
        self.report_dropped();
        self.is_open = false;
    }

    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Closes the queue and removes all items, because nothing is written anymore.
    pub(super) fn abandon(&mut self) {
        *self = Self::new();
    }

    /// Whether the caller should print only results. An item that is added nevertheless is kept.
    pub(super) const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Adds an item, or drops it if it is progress and too much waits to be written. Returns the
    /// item if the queue is closed.
    ///
    /// After a line of progress was dropped, the next ones are dropped until everything is written.
    pub(super) fn push(&mut self, item: Item) -> Option<Item> {
        if !self.is_open {
            return Some(item);
        }
        let max_bytes = if self.dropped > 0 { 0 } else { MAX_BYTES_FOR_PROGRESS };
        if matches!(item, Item::Progress(_)) && self.bytes > max_bytes {
            self.dropped += 1;
            return None;
        }
        if item.len() > 0 {
            self.report_dropped();
        }
        self.add(item);
        None
    }

    fn add(&mut self, item: Item) {
        self.bytes += item.len();
        self.is_full |= self.bytes >= MAX_BYTES;
        self.items.push_back(item);
    }

    /// Adds a line with the number of dropped lines.
    fn report_dropped(&mut self) {
        let lines = match self.dropped {
            0 => return,
            1 => "1 line of progress was".to_owned(),
            lines => format!("{lines} lines of progress were"),
        };
        self.dropped = 0;
        let line = format!("cce-job: {lines} not shown, because the output was not read in time\n");
        self.add(Item::Stderr(line.into()));
    }

    /// Takes the next item to write.
    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.writing = item.len();
        Some(item)
    }

    /// Records that the last item was written. Returns whether the queue is no longer full.
    pub(super) fn end_write(&mut self) -> bool {
        self.bytes -= self.writing;
        self.writing = 0;
        let was_full = self.is_full;
        self.is_full &= self.bytes > MAX_BYTES / 2;
        was_full && !self.is_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all items, and returns their texts. A long text is shortened.
    fn write_all(queue: &mut Queue) -> Vec<String> {
        let mut written = Vec::new();
        while let Some(item) = queue.pop() {
            queue.end_write();
            written.push(match item {
                Item::Progress(bytes) | Item::Stderr(bytes) | Item::Stdout(bytes) => {
                    String::from_utf8(bytes[..bytes.len().min(100)].to_vec()).unwrap()
                }
                Item::Draw { .. } => "draw".into(),
                Item::RemoveTree => "remove".into(),
            });
        }
        assert_eq!(queue.bytes, 0);
        written
    }

    fn progress(text: &str) -> Item {
        Item::Progress(text.into())
    }

    fn result(text: &str) -> Item {
        Item::Stdout(text.into())
    }

    #[test]
    fn only_progress_is_dropped_and_the_dropped_lines_are_counted() {
        let mut queue = Queue::new();
        assert!(queue.push(progress("a")).is_some(), "the queue is closed");
        queue.open();
        let long = "x".repeat(MAX_BYTES_FOR_PROGRESS);
        for item in [progress(&long), progress("b"), progress("c"), progress("d"), result("e")] {
            assert!(queue.push(item).is_none());
        }
        // Dropped until everything is written. A drawing has no place among the lines.
        for item in [progress("f"), Item::RemoveTree, result("g"), progress("h")] {
            assert!(queue.push(item).is_none());
        }
        let reported = |lines: &str| {
            format!("cce-job: {lines} not shown, because the output was not read in time\n")
        };
        let (one, two) = (reported("1 line of progress was"), reported("2 lines of progress were"));
        let expected = [&long[..100], "b", &two, "e", "remove", &one, "g"];
        assert_eq!(write_all(&mut queue), expected);
        assert!(queue.push(progress("i")).is_none());
        assert_eq!(write_all(&mut queue), [&one, "i"]);
        assert!(queue.push(result(&long)).is_none() && queue.push(result("j")).is_none());
        assert!(queue.push(progress("k")).is_none());
        queue.close();
        assert!(queue.push(result("l")).is_some());
        assert_eq!(write_all(&mut queue), [&long[..100], "j", &one]);
    }

    #[test]
    fn a_full_queue_keeps_what_is_added_and_reports_when_there_is_space() {
        let mut queue = Queue::new();
        queue.open();
        let half = "x".repeat(MAX_BYTES / 2);
        for full in [false, true, true] {
            assert!(queue.push(result(&half)).is_none());
            assert_eq!(queue.is_full(), full);
        }
        // The item that is being written counts. There is space when half of the limit is left.
        let mut has_space = Vec::new();
        while queue.pop().is_some() {
            assert_eq!(queue.is_full(), has_space.len() < 2);
            has_space.push(queue.end_write());
        }
        assert_eq!(has_space, [false, true, false]);
    }
}
