//! The pages of the live view, and the place in each one's list.

use std::ops::Range;

/// What the main part of the screen lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Channels,
    Routes,
    Unmatched,
    Instances,
    Log,
}

impl Page {
    /// All pages in the order of their keys, from `1` on.
    pub(super) const ALL: [Page; 5] =
        [Page::Channels, Page::Routes, Page::Unmatched, Page::Instances, Page::Log];

    pub(super) fn word(self) -> &'static str {
        match self {
            Page::Channels => "channels",
            Page::Routes => "routes",
            Page::Unmatched => "unmatched",
            Page::Instances => "instances",
            Page::Log => "log",
        }
    }

    /// The page `distance` pages further; the last is followed by the first.
    pub(super) fn further(self, distance: usize) -> Self {
        Self::ALL[(self as usize + distance) % Self::ALL.len()]
    }
}

/// The selected line of a list, and what of the list is visible.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    pub(super) selected: usize,
    first: usize,
    /// How many lines were visible when the list was drawn last.
    visible: usize,
}

impl Cursor {
    /// Selects a line of a list with `count` lines, the last one if there are fewer.
    pub(super) fn select(&mut self, index: usize, count: usize) {
        self.selected = index.min(count.saturating_sub(1));
    }

    /// The distance of a page, at least one line.
    pub(super) fn page(&self) -> usize {
        self.visible.saturating_sub(1).max(1)
    }

    /// What was visible when the list was drawn last; a screen full if it was not drawn yet.
    pub(super) fn last_visible(&self) -> Range<usize> {
        const BEFORE_FIRST_DRAWING: usize = 64;
        let visible = if self.visible == 0 { BEFORE_FIRST_DRAWING } else { self.visible };
        self.first..self.first + visible
    }

    /// The visible items of a list on `rows` rows: scrolls as little as necessary to show the
    /// selected one, and leaves no row empty that an item fits into. `height` is an item's number
    /// of rows.
    pub(super) fn scroll(
        &mut self,
        count: usize,
        rows: usize,
        height: impl Fn(usize) -> usize,
    ) -> Range<usize> {
        self.selected = self.selected.min(count.saturating_sub(1));
        // The first item with which the items up to `last` fit.
        let first_for = |last: usize| {
            let mut left = rows;
            let mut first = last;
            for index in (0..=last).rev() {
                match left.checked_sub(height(index)) {
                    Some(rest) => (left, first) = (rest, index),
                    None => break,
                }
            }
            first
        };
        if count > 0 {
            let lowest = first_for(self.selected);
            let highest = first_for(count - 1);
            self.first = self.first.min(highest).clamp(lowest, self.selected);
        } else {
            self.first = 0;
        }
        let mut left = rows;
        let fits = |index: &usize| {
            let rest = left.checked_sub(height(*index));
            left = rest.unwrap_or(0);
            rest.is_some()
        };
        let last = self.first + (self.first..count).take_while(fits).count();
        self.visible = last - self.first;
        self.first..last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        assert_eq!(Page::Channels.further(1), Page::Routes);
        assert_eq!(Page::Log.further(1), Page::Channels);
        assert_eq!(Page::Channels.further(Page::ALL.len() - 1), Page::Log);
    }

    #[test]
    fn the_selected_item_is_visible() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.scroll(10, 4, |_| 1), 0..4);
        cursor.select(6, 10);
        assert_eq!(cursor.scroll(10, 4, |_| 1), 3..7);
        cursor.select(4, 10);
        assert_eq!(cursor.scroll(10, 4, |_| 1), 3..7, "nothing to scroll");
        cursor.select(99, 10);
        assert_eq!((cursor.selected, cursor.scroll(10, 4, |_| 1)), (9, 6..10));
        assert_eq!(cursor.scroll(10, 20, |_| 1), 0..10, "no row stays empty");
        assert_eq!(cursor.scroll(2, 4, |_| 1), 0..2);
        assert_eq!(cursor.selected, 1);
        assert_eq!(cursor.scroll(0, 4, |_| 1), 0..0);
        assert_eq!(cursor.scroll(5, 0, |_| 1), 0..0);
    }

    #[test]
    fn items_have_heights() {
        let mut cursor = Cursor::default();
        let height = |index: usize| if index == 2 { 3 } else { 1 };
        assert_eq!(cursor.scroll(5, 4, height), 0..2);
        cursor.select(2, 5);
        assert_eq!(cursor.scroll(5, 4, height), 1..3);
        cursor.select(4, 5);
        assert_eq!(cursor.scroll(5, 4, height), 3..5);
    }
}
