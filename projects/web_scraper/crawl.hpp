// The crawl: which pages are asked for, in which order, and how fast.
//
// Each host has a queue of pages and one coroutine that takes them out, at the host's own pace. For
// each page it gets a permit from a semaphore that all hosts share, and spawns a visit with it. So
// the two limits are two things: the pace says how often a host is asked, the permits how many
// answers are awaited at a time. A slow host keeps nobody else waiting.
//
//     discover ──> queue of the host ──> pace ──> permit ──> visit ──┐
//        ^                                                           │
//        └──────────── links and redirects of the page ──────────────┘
//
// A visit asks for one page, once. A redirect is not followed on the spot: its target is discovered
// like the target of a link. So the limits, robots.txt and the rule on hosts hold for it without
// any code of their own, and a page to which ten redirects lead is fetched once.
//
// Pages arrive in any order, so the first way found to a page need not be the shortest. When a
// shorter one turns up, what the page leads to has moved closer, too: `discover` passes that on. In
// the end depths are exact, however the answers came.
//
// All of this happens on the loop but for one thing, the parsing, which has a thread.
//
// What is asked for has limits, and so has what is known: a page of a megabyte names a hundred
// thousand others. A link beyond these is counted, and otherwise not there.
//
// A server may close a kept connection in the moment of a request. Then the page goes back into its
// queue, once, and waits for the pace like any other.
//
// The crawl is over when no page waits and no visit is under way. When a limit on the whole crawl
// is reached it is the visits alone that are waited for, and no host's pace. Cancelled, it stops
// where it is; what is known by then stands in the site.

#pragma once

#include "web_scraper/fetch.hpp"
#include "web_scraper/robots.hpp"
#include "web_scraper/site.hpp"
#include "web_scraper/url.hpp"

#include "common/clock.hpp"
#include "common/event.hpp"
#include "common/queue.hpp"
#include "common/semaphore.hpp"
#include "common/task_group.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace web_scraper {

// What this crawler calls itself: to servers, and when it looks for its rules in robots.txt.
inline constexpr std::string_view crawler_name = "web_scraper";

struct limits {
    std::size_t concurrency = 8;                                 // requests under way
    common::duration interval = std::chrono::milliseconds(100);  // between two to one host
    int depth = 20;                                              // links away from the start
    int redirects = 10;                                          // in a row
    std::size_t pages = 1000;                                    // that are asked for
    std::size_t known = 20'000;                           // pages in the site, visited or not
    std::size_t links = 300'000;                          // between them
    std::size_t link_bytes = 60'000'000;                  // of the addresses at their two ends
    std::size_t page_bytes = 2 * 1024 * 1024;             // of one page
    std::size_t bytes = 256 * 1024 * 1024;                // of all; see crawler::run
    common::duration timeout = std::chrono::seconds(30);  // for one page
    std::vector<std::string> hosts = {};  // to go to besides the start's, as host_named gives them
};

// What a user writes for a host, `Example.org` or `[::1]:80`, as addresses are compared with it: as
// url::name, or with a port as url::name_with_port. Nothing, where it is neither.
std::optional<std::string> host_named(std::string_view text);

// How a crawl ended.
enum class ending { finished, page_limit, byte_limit, interrupted };

struct progress {
    std::size_t asked = 0;       // requests for pages, so far
    std::size_t under_way = 0;   // of these
    std::size_t waiting = 0;     // pages that are to be asked for
    std::size_t bytes = 0;       // of bodies that have come, whole or not, so far
    std::size_t links = 0;       // in the site
    std::size_t link_bytes = 0;  // of the addresses at their two ends
    std::size_t left_out = 0;    // links and redirects that are not, by the limits on what is known
};

// Use it from one thread or one strand, for one crawl.
class crawler {
public:
    // Fills `result`, which outlives it.
    crawler(limits bounds, fetch_function fetch, site& result);

    // Completes when there is nothing left to visit, or a limit on the whole crawl is reached.
    // Pages that are under way when the limit on bytes is reached are still finished: it is
    // exceeded by one page for each permit at the most.
    //
    // Cancelled (terminal), it gives up what is under way, and throws operation_aborted. A page
    // that is being parsed is finished first.
    boost::asio::awaitable<void> run(url start);

    ending ended() const { return ended_; }
    const progress& so_far() const { return progress_; }

private:
    struct host {
        explicit host(common::duration pace) : interval(pace) {}

        common::queue<page_number> waiting;
        robots rules;
        state barred_are = state::disallowed;  // what becomes of pages that the rules forbid
        std::string reason = "robots.txt";     // what is said about them
        common::duration interval;
        common::time_point next{};  // the earliest time of the next request
    };

    // A way to a page: so many links from the start, the last redirects of it in a row.
    struct way {
        page_number to;
        int depth;
        int redirects;
    };

    bool goes_to(const url& address) const;
    std::optional<page_number> know(const url& address);
    void discover(way found);
    void schedule(page_number number);
    host& host_of(const url& address);
    bool is_over();
    void finish_one();
    void end_if_done();
    bool has_room_for_link(page_number from, const url& to) const;

    boost::asio::awaitable<void> serve(host& where, url first);
    boost::asio::awaitable<void> read_rules(host& where, url file);
    boost::asio::awaitable<std::optional<answer>> ask_for_rules(host& where, const url& file);
    void take_rules(host& where, const answer& got);
    void bar(host& where, state becomes, const std::string& reason);
    host& whose_pace(const url& file, host& otherwise);
    boost::asio::awaitable<common::semaphore::permit> turn(host& where);
    boost::asio::awaitable<void> visit(page_number number, common::semaphore::permit permit);
    bool ask_again(page_number number);
    void take(page_number number, const answer& got);
    void take_redirect(page_number number, const answer& got);
    boost::asio::awaitable<void> take_links(page_number number, const answer& got);

    const limits limits_;
    const fetch_function fetch_;
    site& site_;

    boost::asio::thread_pool parser_{1};
    common::semaphore permits_;
    std::map<std::string, host> hosts_;  // by origin
    std::set<page_number> scheduled_;    // those that were ever put into a queue
    std::set<page_number> asked_again_;  // those of them that were put into it once more
    std::size_t unfinished_ = 0;         // those of them that are in one, or under way
    common::event nothing_left_;
    common::task_group* tasks_ = nullptr;  // while it runs

    std::string start_host_;  // `name:port`
    progress progress_;
    ending ended_ = ending::finished;
};

}  // namespace web_scraper
