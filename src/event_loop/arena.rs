//! Things by number, as in `slab`, without its mark of what is there: a lookup is a bound and a load. Plain data.
//!
//! Nobody looks at a free place, for a key is given up with what it names: builds for debugging check that. What is left there is
//! for whoever takes the place next, and worth an allocation at most.

use std::ops::{Index, IndexMut};

#[derive(Debug)]
pub(crate) struct Arena<T> {
    places: Vec<T>,
    free: Vec<u32>,
    #[cfg(debug_assertions)]
    taken: Vec<bool>,
}

impl<T> Arena<T> {
    pub(crate) fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            #[cfg(debug_assertions)]
            taken: Vec::new(),
        }
    }

    /// The index of what is inserted next.
    #[inline]
    pub(crate) fn next_index(&self) -> usize {
        match self.free.last() {
            Some(&index) => index as usize,
            None => self.places.len(),
        }
    }

    #[inline]
    pub(crate) fn insert(&mut self, thing: T) -> usize {
        match self.take_free() {
            Some(index) => {
                self.places[index] = thing;
                index
            }
            None => self.push(thing),
        }
    }

    /// Takes the place of what is inserted next, with what was left there or else something new.
    #[inline]
    pub(crate) fn take_place(&mut self, new: impl FnOnce() -> T) -> usize {
        match self.take_free() {
            Some(index) => index,
            None => self.push(new()),
        }
    }

    /// Takes a free place, if there is one, as it was left.
    #[inline]
    pub(crate) fn take_free(&mut self) -> Option<usize> {
        let index = self.free.pop()? as usize;
        #[cfg(debug_assertions)]
        {
            self.taken[index] = true;
        }
        Some(index)
    }

    #[inline]
    fn push(&mut self, thing: T) -> usize {
        self.places.push(thing);
        #[cfg(debug_assertions)]
        self.taken.push(true);
        self.places.len() - 1
    }

    /// What was left at the place that is taken next, if that is a free one.
    pub(crate) fn next_place(&mut self) -> Option<&mut T> {
        let next = *self.free.last()?;
        self.places.get_mut(next as usize)
    }

    /// The same as [`free`](Self::free), if there is room to note it. Says whether there was.
    #[inline]
    pub(crate) fn free_within_capacity(&mut self, index: usize) -> bool {
        let fits = self.free.len() < self.free.capacity();
        if fits {
            self.free(index);
        }
        fits
    }

    /// Frees the place of a thing, whose drop would run nothing of the user's.
    #[inline]
    pub(crate) fn free(&mut self, index: usize) {
        #[cfg(debug_assertions)]
        {
            assert!(self.taken[index], "a place is freed once");
            self.taken[index] = false;
        }
        self.free.push(index as u32);
    }

    /// All places with their indices, free ones included.
    pub(crate) fn places(&self) -> impl Iterator<Item = (usize, &T)> {
        self.places.iter().enumerate()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn check(&self, _index: usize) {
        #[cfg(debug_assertions)]
        assert!(self.taken[_index], "a key is given up with what it names");
    }
}

impl<T> Index<usize> for Arena<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: usize) -> &T {
        self.check(index);
        &self.places[index]
    }
}

impl<T> IndexMut<usize> for Arena<T> {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut T {
        self.check(index);
        &mut self.places[index]
    }
}

/// What a list has at an index of an arena's, for those things that few have: the list grows as far as it is needed.
#[inline]
pub(crate) fn at_index<T: Default>(list: &mut Vec<T>, index: usize) -> &mut T {
    // Returned from here, so that the index is checked once.
    if index < list.len() {
        return &mut list[index];
    }
    list.resize_with(index + 1, T::default);
    &mut list[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_place_is_the_next_to_be_taken() {
        let mut arena = Arena::new();
        let [one, two] = ["one", "two"].map(|word| arena.insert(word));
        arena.free(one);
        assert_eq!(arena.next_index(), one);
        assert_eq!(arena.insert("three"), one);
        assert_eq!([arena[one], arena[two]], ["three", "two"]);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "a key is given up with what it names")]
    fn nobody_looks_at_a_free_place() {
        let mut arena = Arena::new();
        let gone = arena.insert(1);
        arena.free(gone);
        let _ = arena[gone];
    }
}
