//! The smallest program that still shows something.

use crate::program::{Act, Catch, Kind, Program, Step, Target, Who};
use std::rc::Rc;

/// Programs to try at once.
const BATCH: usize = 8;

/// Makes `program` smaller while it `shows` what it is kept for; `shows` is asked about many at once.
pub(crate) fn shrink(
    mut program: Program,
    mut shows: impl FnMut(&[Program]) -> Vec<bool>,
) -> Program {
    let mut candidates = smaller(&program);
    // How many candidates in a row were asked about in vain, and where to go on.
    let (mut vain, mut at) = (0, 0);
    while vain < candidates.len() {
        if at >= candidates.len() {
            at = 0;
        }
        let batch = &candidates[at..(at + BATCH).min(candidates.len())];
        match shows(batch).into_iter().position(|yes| yes) {
            Some(first) => {
                program = batch[first].clone();
                at += first;
                vain = 0;
                candidates = smaller(&program);
            }
            None => {
                vain += batch.len();
                at += batch.len();
            }
        }
    }
    program
}

/// Every program one cut away, the big cuts first.
fn smaller(program: &Program) -> Vec<Program> {
    let mut found = Vec::new();
    let mut keep = |edit: &mut dyn FnMut(&mut Program)| {
        let mut copy = program.clone();
        edit(&mut copy);
        if copy != *program && !found.contains(&copy) {
            found.push(copy);
        }
    };
    for number in (1..program.functions.len()).rev() {
        keep(&mut |copy| remove_function(copy, number));
    }
    for number in (0..program.primitives.len()).rev() {
        keep(&mut |copy| remove_primitive(copy, number));
    }
    let blocks = sizes(program);
    for (block, &length) in blocks.iter().enumerate() {
        let mut size = length;
        while size > 0 {
            for start in (0..length).step_by(size) {
                let end = (start + size).min(length);
                keep(&mut |copy| {
                    edit_block(copy, block, &mut |steps| drop(steps.drain(start..end)));
                });
            }
            size /= 2;
        }
    }
    for (block, &length) in blocks.iter().enumerate() {
        for at in 0..length {
            for choice in 0..8 {
                keep(&mut |copy| edit_block(copy, block, &mut |steps| simplify(steps, at, choice)));
            }
        }
    }
    for number in 0..program.primitives.len() {
        keep(&mut |copy| match &mut copy.primitives[number] {
            Kind::Barrier(n) if *n > 1 => *n -= 1,
            Kind::Semaphore(n) | Kind::BoundedSemaphore(n) => *n = n.saturating_sub(1),
            Kind::Condition(shared) => *shared = None,
            _ => {}
        });
    }
    found
}

/// The length of every block, in the order in which `edit_block` counts them.
fn sizes(program: &Program) -> Vec<usize> {
    fn walk(steps: &[Step], sizes: &mut Vec<usize>) {
        sizes.push(steps.len());
        for step in steps {
            for block in step.act.blocks() {
                walk(block, sizes);
            }
        }
    }
    let mut sizes = Vec::new();
    for function in &program.functions {
        walk(function, &mut sizes);
    }
    sizes
}

fn edit_block(program: &mut Program, block: usize, edit: &mut dyn FnMut(&mut Vec<Step>)) {
    let mut number = 0;
    each_block(program, &mut |steps| {
        if number == block {
            edit(steps);
        }
        number += 1;
    });
}

fn each_block(program: &mut Program, edit: &mut dyn FnMut(&mut Vec<Step>)) {
    fn walk(steps: &mut Vec<Step>, edit: &mut dyn FnMut(&mut Vec<Step>)) {
        edit(steps);
        for step in steps {
            for block in step.act.blocks_mut() {
                walk(block, edit);
            }
        }
    }
    for function in &mut program.functions {
        walk(function, edit);
    }
}

fn remove_function(program: &mut Program, number: usize) {
    program.functions.remove(number);
    each_block(program, &mut |steps| {
        steps.retain(|step| !matches!(step.act, Act::Spawn { function, .. } if function == number));
        for step in steps {
            if let Act::Spawn { function, .. } = &mut step.act {
                *function -= usize::from(*function > number);
            }
        }
    });
}

/// Takes away a primitive and all steps on it; a block on it leaves what it holds.
fn remove_primitive(program: &mut Program, number: usize) {
    program.primitives.remove(number);
    for kind in &mut program.primitives {
        if let Kind::Condition(Some(lock)) = kind {
            if *lock == number {
                *kind = Kind::Condition(None);
            } else {
                *lock -= usize::from(*lock > number);
            }
        }
    }
    each_block(program, &mut |steps| {
        for step in steps.iter_mut() {
            if let Act::With(p, body) = &mut step.act {
                if *p == number {
                    step.act = Act::Try(std::mem::take(body));
                }
            }
        }
        steps.retain_mut(|step| match touched(&mut step.act) {
            Some(p) if *p == number => false,
            Some(p) => {
                *p -= usize::from(*p > number);
                true
            }
            None => true,
        });
    });
}

fn touched(act: &mut Act) -> Option<&mut usize> {
    match act {
        Act::Acquire(p)
        | Act::Release(p)
        | Act::Set(p)
        | Act::Clear(p)
        | Act::Reset(p)
        | Act::Abort(p)
        | Act::Peek(p)
        | Act::With(p, _)
        | Act::Wait(Target::Primitive(p))
        | Act::Notify(Target::Primitive(p), _)
        | Act::NotifyAll(Target::Primitive(p))
        | Act::WaitFor(Target::Primitive(p), _) => Some(p),
        _ => None,
    }
}

/// One way among several to say less with a step.
fn simplify(steps: &mut Vec<Step>, at: usize, choice: usize) {
    let step = &mut steps[at];
    match (choice, &mut step.act) {
        (0, act) => {
            let mut inner = Vec::new();
            for block in act.blocks_mut() {
                inner.append(block);
            }
            if !inner.is_empty() {
                steps.splice(at..=at, inner);
            }
        }
        (1, _) => step.catch = Catch::Nothing,
        (2, _) if step.catch != Catch::Nothing => step.catch = Catch::Everything,
        (3, act) => match act {
            Act::Within(_, body) | Act::Repeat(_, body) | Act::With(_, body) => {
                *act = Act::Try(std::mem::take(body));
            }
            Act::AwaitWithin(slot, _) => *act = Act::Await(*slot),
            Act::WaitFor(on, _) => *act = Act::Wait(*on),
            Act::NotifyAll(on) => *act = Act::Notify(*on, 1),
            _ => {}
        },
        (4, act) => match act {
            Act::Sleep(n)
            | Act::Within(Some(n), _)
            | Act::AwaitWithin(_, Some(n))
            | Act::Repeat(n, _)
            | Act::Return(n)
            | Act::Let(_, n) => *n = (*n).min(1),
            Act::WaitFor(_, question) => {
                question.at_least = question.at_least.min(1);
                question.found = false;
            }
            Act::Raise(n) => *n = (*n).min(3),
            Act::Notify(_, n) => *n = (*n).min(1),
            _ => {}
        },
        (5, act) => match act {
            Act::Sleep(n) | Act::Within(Some(n), _) | Act::AwaitWithin(_, Some(n)) if *n > 1 => {
                *n -= if *n > 8 { *n / 2 } else { 1 };
            }
            Act::Sleep(n) => *n = 0,
            Act::Repeat(n, _) => *n = (*n).min(2),
            Act::WaitFor(_, question) => question.inside = Rc::default(),
            _ => {}
        },
        (
            6,
            Act::Spawn { slot, .. }
            | Act::Cancel(Who::Slot(slot))
            | Act::Uncancel(Who::Slot(slot))
            | Act::Look(Who::Slot(slot))
            | Act::Await(slot)
            | Act::AwaitWithin(slot, _)
            | Act::Drop(slot),
        ) => *slot = slot.saturating_sub(1),
        (7, act) => {
            if let Act::Finally(first, _) = act {
                *act = Act::Try(std::mem::take(first));
            }
        }
        _ => {}
    }
}
