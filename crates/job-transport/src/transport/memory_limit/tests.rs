//! Tests of the count, and of the order in which texts are dropped.

use super::*;

/// A text that releases its share when it is dropped.
struct Kept(Mutex<Option<MemoryShare>>);

impl DropText for Kept {
    fn drop_text(&self) {
        self.0.lock().unwrap().take();
    }
}

fn keep(limit: &MemoryLimit, bytes: usize) -> Arc<Kept> {
    let kept = Arc::new(Kept(Mutex::new(None)));
    let text: Weak<Kept> = Arc::downgrade(&kept);
    limit.add_droppable(bytes, text);
    *kept.0.lock().unwrap() = Some(limit.count(bytes));
    limit.enforce();
    kept
}

#[test]
fn shares_count_until_they_are_dropped() {
    let limit = MemoryLimit::new(100);
    let mut share = limit.count(10);
    let other = limit.clone().count(5);
    share.grow(20);
    assert_eq!(limit.used_bytes(), 35);
    share.shrink_to(7);
    assert_eq!(limit.used_bytes(), 12);
    share.shrink_to(50);
    assert_eq!(limit.used_bytes(), 12);
    drop((share, other));
    assert_eq!(limit.used_bytes(), 0);
}

#[test]
fn the_largest_texts_are_dropped_until_the_limit_holds() {
    let limit = MemoryLimit::new(100);
    let kept: Vec<_> = [30, 10, 40, 20].map(|bytes| keep(&limit, bytes)).into();
    let left = || {
        let is_left = |kept: &&Arc<Kept>| kept.0.lock().unwrap().is_some();
        kept.iter().filter(is_left).map(|kept| kept.0.lock().unwrap().as_ref().unwrap().bytes)
    };
    assert_eq!(left().collect::<Vec<_>>(), [30, 10, 40, 20]);
    let mut body = limit.count(0);
    body.grow(1);
    assert_eq!(left().collect::<Vec<_>>(), [30, 10, 20]);
    body.grow(75);
    assert_eq!(left().collect::<Vec<_>>(), [10]);
    assert!(!limit.is_exceeded());
    // A text that does not fit is dropped before smaller ones.
    let too_large = keep(&limit, 95);
    assert!(too_large.0.lock().unwrap().is_none());
    assert_eq!(left().collect::<Vec<_>>(), [10]);
    body.grow(200);
    assert_eq!(left().count(), 0);
    assert!(limit.is_exceeded());
    drop(body);
    assert_eq!(limit.used_bytes(), 0);
}

#[test]
fn a_text_that_no_longer_exists_is_skipped() {
    let limit = MemoryLimit::new(50);
    drop(keep(&limit, 40));
    let kept = keep(&limit, 30);
    let mut body = limit.count(0);
    body.grow(40);
    assert!(kept.0.lock().unwrap().is_none());
    assert_eq!((body.bytes, limit.used_bytes()), (40, 40));
}
