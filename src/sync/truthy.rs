//! Python truth, as far as a predicate's result needs it.

/// What [`Condition::wait_for`](crate::Condition::wait_for) takes for true: `true`, or `Some`.
///
/// The counterpart of Python's truth value of a predicate's result. An `Option` lets the predicate hand out what it has
/// found. Sealed: no other types have a truth here.
///
/// # Examples
/// ```
/// use {soloop::Condition, std::{cell::RefCell, rc::Rc}};
///
/// soloop::run(async {
///     let (stocked, shelf) = (Condition::new(), RefCell::new(vec!["bread"]));
///     let mut held = stocked.enter().await?;
///     assert_eq!(held.wait_for(|| shelf.borrow_mut().pop()).await?, Some("bread"));
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
pub trait Truthy: sealed::Sealed {}

impl Truthy for bool {}
impl<T> Truthy for Option<T> {}

pub(crate) mod sealed {
    pub trait Sealed {
        fn is_true(&self) -> bool;
    }

    impl Sealed for bool {
        fn is_true(&self) -> bool {
            *self
        }
    }

    impl<T> Sealed for Option<T> {
        fn is_true(&self) -> bool {
            self.is_some()
        }
    }
}
