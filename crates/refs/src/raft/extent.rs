//! How many bytes the log has and where in it they are, in pieces: so that it can be purged by bytes.

use std::collections::VecDeque;

/// A piece is closed when its entries have so many bytes.
const PIECE_BYTES: u64 = 256 << 10;

/// Neighbouring entries, up to `last`.
#[derive(Clone, Copy, Debug)]
struct Piece {
    last: u64,
    bytes: u64,
}

/// The entries of the log by their bytes. What is cut off inside of a piece goes on counting until the piece goes.
#[derive(Debug, Default)]
pub(crate) struct Extent {
    pieces: VecDeque<Piece>,
    bytes: u64,
}

impl Extent {
    /// Adds the log's next entry.
    pub(crate) fn push(&mut self, index: u64, bytes: usize) {
        let bytes = bytes as u64;
        self.bytes += bytes;
        match self.pieces.back_mut() {
            Some(piece) if piece.bytes < PIECE_BYTES => {
                piece.last = index;
                piece.bytes += bytes;
            }
            _ => self.pieces.push_back(Piece { last: index, bytes }),
        }
    }

    /// Entries up to an index are gone.
    pub(crate) fn purge(&mut self, index: u64) {
        while let Some(piece) = self.pieces.front()
            && piece.last <= index
        {
            self.bytes -= piece.bytes;
            self.pieces.pop_front();
        }
    }

    /// Entries after an index are gone; without one, all.
    pub(crate) fn truncate_after(&mut self, index: Option<u64>) {
        while let Some(piece) = self.pieces.back().copied()
            && index.is_none_or(|index| piece.last > index)
        {
            self.pieces.pop_back();
            self.bytes -= piece.bytes;
            let before = self.pieces.back().map(|piece| piece.last);
            // It began before: what is left of it counts as all of it.
            if let Some(index) = index.filter(|index| before.is_none_or(|before| before < *index)) {
                self.pieces.push_back(Piece {
                    last: index,
                    ..piece
                });
                self.bytes += piece.bytes;
                return;
            }
        }
    }

    /// Bytes of all entries.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Up to which index entries may go so that no more than so many bytes stay; `None` where none has to.
    pub(crate) fn beyond(&self, bytes_max: u64) -> Option<u64> {
        let mut left = self.bytes;
        let mut upto = None;
        for piece in &self.pieces {
            if left <= bytes_max {
                break;
            }
            left -= piece.bytes;
            upto = Some(piece.last);
        }
        upto
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: usize = PIECE_BYTES as usize / 2;

    fn of(entries: u64) -> Extent {
        let mut extent = Extent::default();
        for index in 1..=entries {
            extent.push(index, HALF);
        }
        extent
    }

    #[test]
    fn no_more_stays_than_is_allowed_and_hardly_less() {
        let mut extent = of(100);
        let all = 50 * PIECE_BYTES;
        assert_eq!(extent.bytes(), all);
        assert_eq!(extent.beyond(all), None);
        assert_eq!(extent.beyond(all - 1), Some(2));
        assert_eq!(extent.beyond(10 * PIECE_BYTES), Some(80));
        assert_eq!(extent.beyond(0), Some(100));
        extent.purge(80);
        assert_eq!(extent.bytes(), 10 * PIECE_BYTES);
        assert_eq!(extent.beyond(10 * PIECE_BYTES), None);
        // Inside of a piece: it stays until all of it goes.
        extent.purge(81);
        assert_eq!(extent.bytes(), 10 * PIECE_BYTES);
        extent.purge(100);
        assert_eq!(extent.bytes(), 0);
    }

    #[test]
    fn what_is_cut_off_at_the_end_counts_no_more() {
        let mut extent = of(10);
        extent.truncate_after(Some(6));
        assert_eq!(extent.bytes(), 3 * PIECE_BYTES);
        // Inside of a piece.
        extent.truncate_after(Some(5));
        assert_eq!(extent.bytes(), 3 * PIECE_BYTES);
        extent.push(6, 2 * HALF);
        extent.push(7, HALF);
        assert_eq!(extent.beyond(0), Some(7));
        extent.truncate_after(None);
        assert_eq!((extent.bytes(), extent.beyond(0)), (0, None));
    }
}
