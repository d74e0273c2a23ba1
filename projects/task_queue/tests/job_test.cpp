// Jobs as data: ids, JSON, durations.

#include "task_queue/job.hpp"
#include "task_queue/run_job.hpp"
#include "task_queue/tests/helpers.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace task_queue;
using task_queue::tests::builtin_job;

TEST_CASE(
    "ids are 16 digits or letters, all different, and sort in the order in which they were made")
{
    std::vector<std::string> ids;
    for (int i = 0; i < 10'000; ++i) {
        ids.push_back(new_job_id());
    }
    CHECK(std::is_sorted(ids.begin(), ids.end()));
    CHECK(std::set(ids.begin(), ids.end()).size() == ids.size());
    CHECK(std::all_of(ids.begin(), ids.end(), [](const std::string& id) {
        return id.size() == 16 &&
               id.find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz") == std::string::npos;
    }));
}

TEST_CASE("a job comes back from its JSON as it was")
{
    auto before = builtin_job("x", {"append", "", "\" \\ \n \x01 \xff ä"});
    before.urgency = priority::low;
    before.delay = 1ms;
    before.lifetime = 2ms;
    before.max_tries = 3;
    before.time_limit = 4ms;
    before.backoff = 5ms;
    before.longest_backoff = 6ms;
    const auto after = job_from_json("x", to_json(before));
    CHECK(after.words == before.words);
    CHECK(after.builtin);
    CHECK(after.urgency == priority::low);
    CHECK(after.delay == 1ms);
    CHECK(after.lifetime == 2ms);
    CHECK(after.max_tries == 3);
    CHECK(after.time_limit == 4ms);
    CHECK(after.backoff == 5ms);
    CHECK(after.longest_backoff == 6ms);

    CHECK_FALSE(job_from_json("x", to_json(job())).time_limit);
    CHECK_FALSE(job_from_json("x", to_json(job())).lifetime);
    for (const auto* const broken : {"", "[]", "{}", "{\"words\":1}", "no JSON"}) {
        CHECK_THROWS_AS(job_from_json("x", broken), std::runtime_error);
    }
}

TEST_CASE("durations are read with their unit, and written short")
{
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("10") == 10s);
    CHECK(parse_duration("0") == 0s);
    CHECK(parse_duration("10s") == 10s);
    CHECK(parse_duration("1.5m") == 90s);
    CHECK(parse_duration("2h") == 2h);
    CHECK(parse_duration("1d") == 24h);
    for (const auto* const bad :
         {"", "s", "-1s", "1 s", "1x", "10sec", "1e300s", "inf", "nan", "0x10s"}) {
        INFO(bad);
        CHECK_THROWS_AS(parse_duration(bad), std::invalid_argument);
    }
    CHECK(text_of(250ms) == "250 ms");
    CHECK(text_of(1500ms) == "1.5 s");
    CHECK(text_of(90s) == "1.5 min");
    CHECK(text_of(2h) == "2 h");
}

TEST_CASE("builtin jobs that make no sense are refused")
{
    CHECK_NOTHROW(check_builtin(builtin_job("x", {"append", "file", "text"})));
    CHECK_NOTHROW(check_builtin(builtin_job("x", {"sleep", "1s"})));
    CHECK_NOTHROW(check_builtin(builtin_job("x", {"fail", "why"})));
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"append", "file"}, {"sleep"}, {"sleep", "long"}, {"ls"}, {"fail"}}) {
        CHECK_THROWS_AS(check_builtin(builtin_job("x", words)), std::invalid_argument);
    }
}
