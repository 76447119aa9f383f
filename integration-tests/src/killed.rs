//! What the points of a sweep that kills processes came to.

/// What became of the points. One at which no process was killed shows nothing.
#[derive(Debug, Default)]
pub struct Found {
    passed: usize,
    /// How many processes were killed at single points, and at pairs, each of which may kill two.
    killed: [usize; 2],
    /// The single points that killed none.
    idle: Vec<String>,
    /// The pairs that killed none.
    idle_pairs: usize,
    failures: Vec<String>,
}

impl Found {
    /// Notes what became of a point of so many faults: how many processes it killed, or why it failed.
    pub fn note(&mut self, faults: usize, tried: Result<usize, String>, name: String) {
        let pair = usize::from(faults > 1);
        match tried {
            Ok(0) if pair == 1 => self.idle_pairs += 1,
            Ok(0) => self.idle.push(name),
            Ok(times) => {
                self.passed += 1;
                self.killed[pair] += times;
            }
            Err(why) => self.failures.push(why),
        }
    }

    /// What it came to, in words.
    #[must_use]
    pub fn told(&self) -> String {
        let [singles, pairs] = self.killed;
        let idle = self.idle.len() + self.idle_pairs;
        let nothing =
            if idle > 0 { format!("; {idle} killed none, and have not passed") } else { String::new() };
        format!(
            "{} passed; {singles} processes were killed at single points and {pairs} at pairs{nothing}",
            self.passed
        )
    }

    /// Demands that no point failed, and that each single one killed a process. Of a pair one is enough: the second run does what the first
    /// left, and may be over before its point.
    ///
    /// # Errors
    /// When one failed, or killed nobody.
    pub fn check(&self, all: usize) -> Result<(), String> {
        let first = |some: &[String]| format!("{} of {all}: {:#?}", some.len(), &some[..some.len().min(5)]);
        if !self.failures.is_empty() {
            return Err(format!("failures: {}", first(&self.failures)));
        }
        if !self.idle.is_empty() || self.idle_pairs > 0 {
            return Err(format!(
                "no process was killed at {} pairs, nor at {}",
                self.idle_pairs,
                first(&self.idle)
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_kills_twice_makes_up_for_no_single_point() {
        let mut found = Found::default();
        found.note(1, Ok(1), "at 0".to_owned());
        found.note(1, Ok(0), "at 1".to_owned());
        found.note(2, Ok(2), "at 0 and at 1".to_owned());
        assert_eq!(found.passed, 2);
        assert!(found.told().contains("1 killed none, and have not passed"), "{}", found.told());
        assert!(found.check(3).unwrap_err().contains("at 1"));
    }
}
