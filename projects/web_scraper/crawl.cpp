#include "web_scraper/crawl.hpp"

#include "web_scraper/html.hpp"
#include "web_scraper/text.hpp"

#include "common/run_on.hpp"
#include "common/timeout.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <utility>

namespace asio = boost::asio;
using boost::asio::awaitable;

namespace web_scraper {

namespace {

// RFC 9309 asks for at least five.
constexpr int most_redirects_of_robots = 5;

// A robots.txt that is longer than this is taken for one that cannot be read. Of a shorter one, the
// beginning counts.
constexpr std::size_t most_bytes_of_robots = 8 * robots::longest_file;

bool is_success(int status)
{
    return status >= 200 && status <= 299;
}

bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Where an answer redirects to. Nothing, where it does not say, or names no web page.
std::optional<url> target_of(const url& asked, const answer& got)
{
    return got.location.empty() ? std::nullopt : asked.resolve(got.location);
}

std::string status_text(const answer& got)
{
    return printable(trimmed(fmt::format("{} {}", got.status, got.reason)));
}

std::size_t bytes_of_link(const url& from, const url& to)
{
    return from.text().size() + to.text().size();
}

std::string too_late(common::duration limit)
{
    return fmt::format("no whole answer within {} s", std::chrono::duration<double>(limit).count());
}

awaitable<page_links> parse(const answer& got, const url& address)
{
    auto found = links_in(got.body, address, got.content_type);
    co_return found;
}

}  // namespace

std::optional<std::string> host_named(std::string_view text)
{
    // Whatever else an address can have does not belong here, such as a path or a user.
    if (text.find_first_of("/\\?#@ \t\r\n") != text.npos) {
        return std::nullopt;
    }
    const auto address = url::parse(fmt::format("http://{}/", text));
    if (!address) {
        return std::nullopt;
    }
    const auto behind_brackets = text.substr(std::min(text.find(']'), text.size()));
    const auto behind = text.starts_with('[') ? behind_brackets : text;
    return behind.find(':') == behind.npos ? address->name() : address->name_with_port();
}

crawler::crawler(limits bounds, fetch_function fetch, site& result)
    : limits_(std::move(bounds)),
      fetch_(std::move(fetch)),
      site_(result),
      permits_(limits_.concurrency)
{
}

awaitable<void> crawler::run(url start)
{
    start_host_ = start.name_with_port();
    const auto crawl = [&](common::task_group& tasks) -> awaitable<void> {
        tasks_ = &tasks;
        discover(way{site_.add(start), 0, 0});
        co_await nothing_left_.wait();
        tasks.cancel();  // the hosts' coroutines, which wait for pages that will not come
    };
    co_await common::with_task_group(crawl);
}

// --- what is to be visited ----------------------------------------------------------------------

bool crawler::goes_to(const url& address) const
{
    const auto name = address.name();
    const auto with_port = address.name_with_port();
    const auto is_named = [&](const std::string& named) {
        return named == name || named == with_port;
    };
    return address.scheme() == "http" &&
           (with_port == start_host_ ||
            std::any_of(limits_.hosts.begin(), limits_.hosts.end(), is_named));
}

// The number of a page, unless it is new and there is no room for it.
std::optional<page_number> crawler::know(const url& address)
{
    return site_.size() < limits_.known ? site_.add(address) : site_.find(address);
}

// The reports write out the addresses of links, so these count beside the number.
bool crawler::has_room_for_link(page_number from, const url& to) const
{
    return progress_.links < limits_.links &&
           progress_.link_bytes + bytes_of_link(site_[from].address, to) <= limits_.link_bytes;
}

// A page that is nearer than was known takes what it leads to along, and so on, the nearest first.
void crawler::discover(way found)
{
    std::deque<way> ways{found};
    while (!ways.empty()) {
        const auto next = ways.front();
        ways.pop_front();
        auto& page = site_[next.to];
        if (next.depth >= page.depth && next.redirects >= page.redirects) {
            continue;
        }
        page.depth = std::min(page.depth, next.depth);
        page.redirects = std::min(page.redirects, next.redirects);
        schedule(next.to);
        for (const auto link : page.links) {
            ways.push_back(way{link, page.depth + 1, 0});
        }
        if (page.redirect_to) {
            ways.push_back(way{*page.redirect_to, page.depth, page.redirects + 1});
        }
    }
}

// The only way into a queue. A page that was in one never comes back.
void crawler::schedule(page_number number)
{
    auto& page = site_[number];
    if (scheduled_.count(number) > 0) {
        return;
    }
    if (!goes_to(page.address)) {
        page.is = state::elsewhere;
    } else if (page.depth > limits_.depth) {
        page.is = state::too_deep;
    } else if (page.redirects > limits_.redirects) {
        page.is = state::too_many_redirects;
    } else {
        page.is = state::known;
        scheduled_.insert(number);
        ++unfinished_;
        ++progress_.waiting;
        host_of(page.address).waiting.try_put(number);  // which has no bound
    }
}

// The host of an address, which gets its coroutine when its first page is discovered.
crawler::host& crawler::host_of(const url& address)
{
    const auto [entry, is_new] = hosts_.try_emplace(address.origin(), limits_.interval);
    if (is_new) {
        tasks_->spawn(serve(entry->second, address));
    }
    return entry->second;
}

bool crawler::is_over()
{
    if (progress_.asked >= limits_.pages) {
        ended_ = ending::page_limit;
    } else if (progress_.bytes >= limits_.bytes) {
        ended_ = ending::byte_limit;
    }
    return ended_ != ending::finished;
}

void crawler::finish_one()
{
    --unfinished_;
    end_if_done();
}

// At a limit the pages that wait are not asked for, and so nobody waits for their hosts' pace. A
// crawl that just fits has finished: nothing is left, so no limit is looked at.
void crawler::end_if_done()
{
    if (unfinished_ == 0 || (progress_.under_way == 0 && is_over())) {
        nothing_left_.set();
    }
}

// --- hosts --------------------------------------------------------------------------------------

// Hands out the pages of one host, one after another, each when it is time, until a limit on the
// whole crawl is reached. A get() from a queue that is not empty does not suspend, and pages that
// nobody is to ask for are not waited for: without the yield() nothing else ran, and no Ctrl-C was
// heard, until all of them had been compared with the rules.
awaitable<void> crawler::serve(host& where, url first)
{
    co_await read_rules(where, *first.resolve("/robots.txt"));
    while (true) {
        co_await common::yield();
        const auto number = co_await where.waiting.get();
        --progress_.waiting;
        if (is_over()) {
            finish_one();
            co_return;
        }
        auto& page = site_[number];
        if (!where.rules.allows(page.address.target())) {
            page.is = where.barred_are;
            page.detail = where.reason;
            finish_one();
            continue;
        }
        auto permit = co_await turn(where);
        if (is_over()) {  // by now: other hosts have gone on meanwhile
            finish_one();
            co_return;
        }
        ++progress_.asked;
        ++progress_.under_way;  // from here on, though the visit begins later
        tasks_->spawn(visit(number, std::move(permit)));
    }
}

// The pace is kept between the moments in which requests begin. So the permit, for which one may
// have to wait, comes before the clock is read. Somebody else may have had a turn meanwhile: who
// reads another host's robots.txt, which has led here. Then the permit goes back for as long as it
// takes.
awaitable<common::semaphore::permit> crawler::turn(host& where)
{
    while (true) {
        co_await common::sleep_until(where.next);
        auto permit = co_await permits_.acquire();
        if (common::now() >= where.next) {
            where.next = common::now() + where.interval;
            co_return permit;
        }
    }
}

// The host that is to be asked for a file, where it has a queue, and so a pace, already.
crawler::host& crawler::whose_pace(const url& file, host& otherwise)
{
    const auto found = hosts_.find(file.origin());
    return found == hosts_.end() ? otherwise : found->second;
}

// Follows redirects on the spot, since nobody else wants this file. They may lead where the crawl
// goes, and no further.
awaitable<void> crawler::read_rules(host& where, url file)
{
    for (int request = 0; request <= most_redirects_of_robots; ++request) {
        const auto got = co_await ask_for_rules(where, file);
        if (!got) {
            co_return;
        }
        if (!is_redirect(got->status)) {
            take_rules(where, *got);
            co_return;
        }
        const auto target = target_of(file, *got);
        if (!target || !goes_to(*target)) {
            const auto place = printable(got->location);
            bar(where, state::disallowed,
                "it redirects to '" + place + "', off this crawl's hosts");
            co_return;
        }
        file = *target;
    }
    // More redirects than that are as if there were no file.
}

// Nothing, if there is no answer; nobody knows then what would have been in it.
awaitable<std::optional<answer>> crawler::ask_for_rules(host& where, const url& file)
{
    for (bool again = false;; again = true) {
        try {
            const auto permit = co_await turn(whose_pace(file, where));
            auto asking = fetch_(file, most_bytes_of_robots, progress_.bytes);
            co_return co_await common::with_timeout(limits_.timeout, std::move(asking));
        } catch (const body_too_large&) {
            bar(where, state::disallowed, "it is too large");
        } catch (const connection_dropped& error) {
            if (!again) {
                continue;
            }
            bar(where, state::unreachable, printable(error.what()));
        } catch (const fetch_error& error) {
            bar(where, state::unreachable, printable(error.what()));
        } catch (const common::timeout_error&) {
            bar(where, state::unreachable, too_late(limits_.timeout));
        }
        co_return std::nullopt;
    }
}

// A server that says 4xx has no such file. One that says 5xx has one perhaps, and cannot give it.
void crawler::take_rules(host& where, const answer& got)
{
    if (is_success(got.status)) {
        where.rules = robots::parse(got.body, crawler_name);
        where.interval =
            std::max(where.interval, where.rules.crawl_delay().value_or(where.interval));
        where.next = common::now() + where.interval;
        if (where.rules.is_too_much()) {
            bar(where, state::disallowed, "it has too many rules, or one that is too long");
        }
    } else if (got.status < 400 || got.status > 499) {
        bar(where, state::disallowed, status_text(got));
    }
}

// From now on no page of this host is asked for.
void crawler::bar(host& where, state becomes, const std::string& reason)
{
    where.rules = robots::allow_nothing();
    where.barred_are = becomes;
    where.reason = "robots.txt cannot be read: " + reason;
}

// --- pages --------------------------------------------------------------------------------------

// The permit is given back when this ends, however it does.
awaitable<void> crawler::visit(page_number number, common::semaphore::permit)
{
    auto& page = site_[number];
    bool is_finished = true;
    try {
        auto asking = fetch_(page.address, limits_.page_bytes, progress_.bytes);
        const auto got = co_await common::with_timeout(limits_.timeout, std::move(asking));
        take(number, got);
        if (page.is == state::fetched && is_html(got.content_type)) {
            co_await take_links(number, got);
        }
    } catch (const body_too_large&) {
        page.is = state::too_large;
        page.detail = fmt::format("more than {} bytes", limits_.page_bytes);
    } catch (const connection_dropped& error) {
        page.is = state::unreachable;  // and stays so if a limit is reached before its next turn
        page.detail = printable(error.what());
        is_finished = !ask_again(number);
    } catch (const fetch_error& error) {
        page.is = state::unreachable;
        page.detail = printable(error.what());
    } catch (const common::timeout_error&) {
        page.is = state::unreachable;
        page.detail = too_late(limits_.timeout);
    }
    --progress_.under_way;
    if (is_finished) {
        finish_one();
    } else {
        end_if_done();
    }
}

// Puts a page back into its queue, unless that has been done before.
bool crawler::ask_again(page_number number)
{
    if (!asked_again_.insert(number).second) {
        return false;
    }
    ++progress_.waiting;
    host_of(site_[number].address).waiting.try_put(number);
    return true;
}

void crawler::take(page_number number, const answer& got)
{
    auto& page = site_[number];
    page.status = got.status;
    page.detail.clear();  // of an earlier request, whose connection was dropped
    page.content_type = printable(got.content_type);
    page.bytes = got.body.size();
    if (is_redirect(got.status)) {
        take_redirect(number, got);
    } else if (is_success(got.status)) {
        page.is = state::fetched;
    } else {
        page.is = state::failed;
        page.detail = status_text(got);
    }
}

// A page full of links keeps a processor busy for a second, so it is parsed on a thread. The answer
// and the address stay where they are meanwhile: this coroutine, which is suspended, has them.
awaitable<void> crawler::take_links(page_number number, const answer& got)
{
    auto& page = site_[number];
    const common::real_work hold;  // virtual time waits for the thread
    auto parsing = parse(got, page.address);
    const auto found = co_await common::run_on(parser_.get_executor(), std::move(parsing));
    if (!found.all) {
        page.detail =
            "not read to its end: it has too many links, goes too deep, or takes too long";
    }
    for (const auto& link : found.links) {
        const auto target = has_room_for_link(number, link) ? know(link) : std::nullopt;
        if (!target) {
            ++progress_.left_out;
            continue;
        }
        ++progress_.links;
        progress_.link_bytes += bytes_of_link(page.address, link);
        site_.add_link(number, *target);
        discover(way{*target, page.depth + 1, 0});
    }
}

void crawler::take_redirect(page_number number, const answer& got)
{
    auto& page = site_[number];
    const auto target = target_of(page.address, got);
    if (!target) {
        page.is = state::failed;
        page.detail = status_text(got) + ", to no web address: '" + printable(got.location) + "'";
        return;
    }
    page.is = state::redirected;
    page.detail = status_text(got);
    const auto to = know(*target);
    if (!to) {
        ++progress_.left_out;
        page.detail += ", to a page beyond the limit on known ones";
        return;
    }
    site_.add_redirect(number, *to);
    discover(way{*to, page.depth, page.redirects + 1});
}

}  // namespace web_scraper
