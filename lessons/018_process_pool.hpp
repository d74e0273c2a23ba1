// Lesson 018: a pool of processes, which get lines to work on, and answer each with a line.
//
// A thread shares its memory with the program. A process does not: what it is to know goes in
// through a pipe, and what it has found comes out through another. That costs more, and so when a
// process crashes, nothing else does. Its job is given to another.

#pragma once

#include "common/event.hpp"
#include "common/log.hpp"
#include "common/process.hpp"
#include "common/queue.hpp"
#include "common/task_group.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

class process_pool {
public:
    // Keeps a process of each of these commands at work, and when one dies, starts `spare` in its
    // place. Cancelled, it stops them; whoever still waits for an answer then gets none.
    boost::asio::awaitable<void> run(std::vector<common::command> workers, common::command spare)
    {
        const auto hire = [&](common::task_group& staff) -> boost::asio::awaitable<void> {
            for (const auto& worker : workers) {
                staff.spawn(keep_at_work(worker, spare));
            }
            co_return;
        };
        co_await common::with_task_group(hire);
    }

    // Has a worker answer the line. Until there is one that does, it waits.
    boost::asio::awaitable<std::string> ask(std::string line)
    {
        const auto asked = std::make_shared<job>(std::move(line));
        co_await jobs_.put(asked);
        co_await asked->answered.wait();
        co_return asked->answer;
    }

private:
    // Shared by the one who asks, who may be cancelled and leave, and the one who works on it.
    struct job {
        explicit job(std::string line) : question(std::move(line)) {}

        std::string question;
        std::string answer;
        common::event answered;
    };

    // The job of a worker that has died goes to another. So no job is lost; one whose worker died
    // between its work and its answer is done twice.
    boost::asio::awaitable<void> keep_at_work(common::command worker, common::command spare)
    {
        while (true) {
            std::shared_ptr<job> current;
            const auto serve = [&](common::process& child) {
                return hand_out_jobs(child, current);
            };
            const auto end = co_await common::with_process(worker, serve);
            common::log(
                "pool", "{} over job {}, which goes to another", end.text(), current->question);
            co_await jobs_.put(current);
            worker = spare;
        }
    }

    // One job at a time, until there is no answer: the worker is dead. That it cannot be written to
    // is seen at the read, too. Half a line is no answer: whoever wrote it died over it.
    boost::asio::awaitable<void> hand_out_jobs(
        common::process& worker, std::shared_ptr<job>& current)
    {
        std::string answers;
        while (true) {
            current = co_await jobs_.get();
            const auto line = current->question + '\n';
            co_await boost::asio::async_write(
                worker.in(), boost::asio::buffer(line),
                boost::asio::as_tuple(boost::asio::deferred));
            const auto [error, size] = co_await boost::asio::async_read_until(
                worker.out(), boost::asio::dynamic_buffer(answers), '\n',
                boost::asio::as_tuple(boost::asio::deferred));
            if (error == boost::asio::error::eof) {
                co_return;
            }
            if (error) {
                throw boost::system::system_error(error);
            }
            current->answer = answers.substr(0, size - 1);
            answers.erase(0, size);
            current->answered.set();
        }
    }

    common::queue<std::shared_ptr<job>> jobs_;
};
