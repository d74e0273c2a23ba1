#include "chat_server/token_bucket.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>

namespace chat {

token_bucket::token_bucket(double rate, double burst) : rate_(rate), burst_(burst), tokens_(burst)
{
    if (!(rate > 0) || !(burst >= 1)) {
        throw std::invalid_argument("a token bucket needs a rate above 0 and a burst of 1 or more");
    }
}

bool token_bucket::try_take()
{
    fill();
    if (tokens_ < 1) {
        return false;
    }
    --tokens_;
    return true;
}

common::duration token_bucket::wait()
{
    fill();
    const std::chrono::duration<double> missing(std::max(0.0, 1 - tokens_) / rate_);
    return std::chrono::ceil<common::duration>(missing);
}

void token_bucket::fill()
{
    const auto now = common::now();
    const std::chrono::duration<double> passed = now - filled_;
    tokens_ = std::min(burst_, tokens_ + passed.count() * rate_);
    filled_ = now;
}

}  // namespace chat
