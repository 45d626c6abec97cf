//! The buffers that the kernel chooses from when it receives: one pool a shard, so that an idle
//! connection owns none.

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// The kernel wants the ring of entries to begin on a page.
const PAGE_BYTES: usize = 4096;

/// The one buffer group of a ring.
pub(super) const GROUP: u16 = 0;

/// A pool of receive buffers, shared with the kernel.
#[derive(Debug)]
pub(super) struct Buffers {
    entries: NonNull<BufRingEntry>,
    data: NonNull<u8>,
    count: u16,
    bytes_each: usize,
    /// How many buffers were ever handed to the kernel, wrapping.
    tail: u16,
    leaked: bool,
}

impl Buffers {
    /// Makes `count` buffers (a power of two) of `bytes_each` and registers them.
    ///
    /// # Errors
    /// What the kernel says to the registration.
    pub(super) fn register(
        submitter: &Submitter<'_>,
        count: u16,
        bytes_each: usize,
    ) -> io::Result<Self> {
        assert!(count.is_power_of_two() && bytes_each > 0, "a ring's size is a power of two");
        let mut buffers = Self {
            entries: allocate(Self::entries_layout(count)).cast(),
            data: allocate(Self::data_layout(count, bytes_each)),
            count,
            bytes_each,
            tail: 0,
            leaked: false,
        };
        let address = buffers.entries.as_ptr() as u64;
        // SAFETY: the entries are page-aligned, zeroed, large enough for `count`, and stay allocated
        // until the ring, which is dropped first, is gone.
        unsafe { submitter.register_buf_ring_with_flags(address, count, GROUP, 0)? };
        for buffer in 0..count {
            buffers.give_back(buffer);
        }
        buffers.publish();
        Ok(buffers)
    }

    fn entries_layout(count: u16) -> Layout {
        Layout::from_size_align(usize::from(count) * size_of::<BufRingEntry>(), PAGE_BYTES)
            .expect("a power of two and a small product")
    }

    fn data_layout(count: u16, bytes_each: usize) -> Layout {
        Layout::from_size_align(usize::from(count) * bytes_each, PAGE_BYTES)
            .expect("a power of two and a product checked by the configuration")
    }

    /// The bytes that the kernel has put into a buffer.
    ///
    /// The caller must have the buffer from a completion and must not have given it back.
    #[inline]
    pub(super) fn bytes(&self, buffer: u16, len: usize) -> &[u8] {
        assert!(buffer < self.count && len <= self.bytes_each, "the kernel named another buffer");
        // SAFETY: the range is inside `data` by the assertion, and initialised as it was zeroed.
        let start = unsafe { self.data.as_ptr().add(usize::from(buffer) * self.bytes_each) };
        // SAFETY: the kernel writes only to buffers that it holds, and this one was handed to us by
        // a completion; the borrow of `self` keeps `give_back` away meanwhile.
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    /// Puts a buffer back into the pool; the kernel sees it after `publish`.
    #[inline]
    pub(super) fn give_back(&mut self, buffer: u16) {
        assert!(buffer < self.count, "no such buffer");
        let place = usize::from(self.tail & (self.count - 1));
        // SAFETY: `place` is below `count`, so inside the allocation.
        let entry = unsafe { self.entries.as_ptr().add(place) };
        // SAFETY: inside `data`, see `bytes`.
        let start = unsafe { self.data.as_ptr().add(usize::from(buffer) * self.bytes_each) };
        // SAFETY: the kernel reads entries between its head and the published tail only; this one is
        // beyond the tail, as there are no more buffers than entries.
        let entry = unsafe { &mut *entry };
        entry.set_addr(start as u64);
        entry.set_len(self.bytes_each as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Never frees the memory.
    pub(super) fn leak(&mut self) {
        self.leaked = true;
    }

    /// Shows the kernel the buffers that were given back.
    #[inline]
    pub(super) fn publish(&mut self) {
        // SAFETY: `entries` is the first entry of a registered ring.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is a u16 of its own, aligned, and shared with the kernel alone, which only
        // reads it; an atomic store is what the protocol asks for.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layouts above are never of size zero.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

impl Drop for Buffers {
    fn drop(&mut self) {
        if self.leaked {
            return;
        }
        // SAFETY: allocated in `register` with this layout; the owning `Ring` drops its kernel ring
        // before its buffers, so the kernel holds none of them.
        unsafe { dealloc(self.entries.as_ptr().cast(), Self::entries_layout(self.count)) };
        let layout = Self::data_layout(self.count, self.bytes_each);
        // SAFETY: as above.
        unsafe { dealloc(self.data.as_ptr(), layout) };
    }
}
