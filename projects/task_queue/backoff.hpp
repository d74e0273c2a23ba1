// Pauses that grow.
//
// A job that fails is tried again, since most of what fails passes: a server that restarts, a disk
// that is full for a while. The pause doubles from try to try, so that what stays broken is not
// asked over and over, up to a longest pause. Half of each pause is left to chance: jobs that
// failed together, because one server was away, do not come back together.

#pragma once

#include "task_queue/job.hpp"

#include <random>

namespace task_queue {

// The longest that the pause after the `failures`th failure in a row can be: `first` doubled so
// often, and at most `longest`.
milliseconds backoff_limit(int failures, milliseconds first, milliseconds longest);

// The pause: between half of that and all of it. The same engine gives the same pauses.
milliseconds backoff_pause(
    int failures, milliseconds first, milliseconds longest, std::minstd_rand& chance);

}  // namespace task_queue
