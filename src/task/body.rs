//! The coroutine as the loop sees it: something that takes a step, and has a result in the end. All of it is user code.

use std::{
    any::Any,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::error::{Error, Result};

/// How a coroutine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Returned,
    Raised,
    Cancelled,
}

impl Ending {
    fn of<T>(result: &Result<T>) -> Self {
        match result {
            Ok(_) => Self::Returned,
            Err(Error::Cancelled) => Self::Cancelled,
            Err(_) => Self::Raised,
        }
    }
}

/// A coroutine as the loop sees it. All of it is user code.
pub(crate) trait Step {
    /// Polls the coroutine; once it ends, drops it and keeps its result.
    fn step(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<Ending>;

    /// Drops the coroutine or its result, and puts `Err(Cancelled)` in the place.
    fn abandon(self: Pin<&mut Self>);

    /// The error it raised.
    fn error(&self) -> Option<Error>;
}

/// The coroutine of a task that the loop owns.
pub(crate) trait Body: Step {
    /// Moves the result into an `Option<Result<T>>` of the right type. What is left is *spent*. Runs nothing of the user's.
    fn take(self: Pin<&mut Self>, result: &mut dyn Any);

    /// Moves another coroutine into a spent body, out of an `Option`. Says whether it is one of the same type. Runs nothing of
    /// the user's.
    fn refill(self: Pin<&mut Self>, coroutine: &mut dyn Any) -> bool;

    /// Drops the result: the body is spent.
    fn discard(self: Pin<&mut Self>);
}

/// A coroutine that is to become a task's.
pub(crate) trait Coroutine {
    /// Moves it into a body, and that into its place: a spent one may be there already, whose allocation then serves again.
    fn settle_in(&mut self, place: &mut Unclaimed);
}

pin_project! {
    /// A coroutine, and later its result in the same place: a task's one allocation.
    #[project = CellProjection]
    #[project_ref = CellRef]
    enum Cell<F, T> {
        Running { #[pin] coroutine: F },
        Ended { result: Option<Result<T>> },
    }
}

impl<F: Future<Output = Result<T>> + 'static, T: 'static> Coroutine for Option<F> {
    fn settle_in(&mut self, place: &mut Unclaimed) {
        let refilled = place
            .as_mut()
            .is_some_and(|spent| spent.as_mut().refill(self));
        if !refilled {
            move_in(self, place);
        }
    }
}

/// Makes a body.
#[inline(never)]
fn move_in<F, T>(coroutine: &mut Option<F>, place: &mut Unclaimed)
where
    F: Future<Output = Result<T>> + 'static,
    T: 'static,
{
    let coroutine = coroutine.take();
    *place = coroutine.map(|coroutine| Box::pin(Cell::Running { coroutine }) as _);
}

impl<F, T> Cell<F, T> {
    /// Drops the coroutine and keeps its result.
    #[inline(never)]
    fn end(mut self: Pin<&mut Self>, result: Result<T>) -> Ending {
        let ending = Ending::of(&result);
        self.set(Self::Ended {
            result: Some(result),
        });
        ending
    }
}

impl<F: Future<Output = Result<T>>, T> Step for Cell<F, T> {
    fn step(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<Ending> {
        let CellProjection::Running { coroutine } = self.as_mut().project() else {
            unreachable!("a task that has ended takes no step")
        };
        match coroutine.poll(cx) {
            Poll::Pending => None,
            Poll::Ready(result) => Some(self.end(result)),
        }
    }

    fn abandon(mut self: Pin<&mut Self>) {
        self.set(Self::Ended {
            result: Some(Err(Error::Cancelled)),
        });
    }

    fn error(&self) -> Option<Error> {
        match self {
            Self::Ended {
                result: Some(Err(error)),
            } => Some(error.clone()),
            _ => None,
        }
    }
}

impl<F: Future<Output = Result<T>> + 'static, T: 'static> Body for Cell<F, T> {
    fn take(self: Pin<&mut Self>, result: &mut dyn Any) {
        if let (CellProjection::Ended { result: kept }, Some(result)) =
            (self.project(), result.downcast_mut())
        {
            *result = kept.take();
        }
    }

    fn refill(mut self: Pin<&mut Self>, coroutine: &mut dyn Any) -> bool {
        let fresh = coroutine.downcast_mut().and_then(Option::take);
        let refills = fresh.is_some();
        if let Some(coroutine) = fresh {
            self.set(Self::Running { coroutine });
        }
        refills
    }

    fn discard(mut self: Pin<&mut Self>) {
        self.set(Self::Ended { result: None });
    }
}

pin_project! {
    /// The main coroutine, which may borrow and so stays on its caller's stack.
    pub(crate) struct Main<F, T> {
        #[pin]
        coroutine: Option<F>,
        result: Option<Result<T>>,
    }
}

impl<F, T> Main<F, T> {
    pub(crate) fn drop_coroutine(self: Pin<&mut Self>) {
        self.project().coroutine.set(None);
    }
}

impl<F: Future<Output = Result<T>>, T> Main<F, T> {
    pub(crate) fn new(coroutine: F) -> Self {
        Self {
            coroutine: Some(coroutine),
            result: None,
        }
    }

    pub(crate) fn result(self: Pin<&mut Self>) -> Result<T> {
        self.project().result.take().expect("main has ended")
    }
}

impl<F: Future<Output = Result<T>>, T> Step for Main<F, T> {
    fn step(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<Ending> {
        let mut this = self.project();
        let coroutine = this
            .coroutine
            .as_mut()
            .as_pin_mut()
            .expect("main has not ended");
        let Poll::Ready(result) = coroutine.poll(cx) else {
            return None;
        };
        let ending = Ending::of(&result);
        this.coroutine.set(None);
        *this.result = Some(result);
        Some(ending)
    }

    fn abandon(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.coroutine.set(None);
        *this.result = Some(Err(Error::Cancelled));
    }

    fn error(&self) -> Option<Error> {
        self.result
            .as_ref()
            .and_then(|result| result.as_ref().err().cloned())
    }
}

/// What is left of an ended task: its result, unless that has been retrieved.
pub(crate) type Unclaimed = Option<Pin<Box<dyn Body>>>;
