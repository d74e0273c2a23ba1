// A limit on how often, which lets short bursts pass.
//
// A bucket holds tokens, at most `burst` of them, and `rate` new ones drop into it each second.
// What is to be limited takes a token, or has to wait. So whoever was quiet can do `burst` things
// at once, and on the long run nobody does more than `rate` in a second.
//
// No timer fills the bucket: how many tokens there are follows from how many there were, and how
// long ago that was.

#pragma once

#include "common/clock.hpp"

namespace chat {

class token_bucket {
public:
    // The bucket is full at first. Throws std::invalid_argument unless the rate is more than 0, and
    // the burst is 1 or more.
    token_bucket(double rate, double burst);

    // Takes a token, if there is one.
    bool try_take();

    // How long it is until there is one; zero where there is.
    common::duration wait();

private:
    void fill();

    const double rate_;  // tokens a second
    const double burst_;
    double tokens_;
    common::time_point filled_ = common::now();
};

}  // namespace chat
