// What happens inside Redis: scripts in Lua, each of which Redis runs as one step. Nobody sees a
// job that is in two places, or in none, and no worker can die in the middle.
//
// For a queue named Q there are these keys:
//
//     {Q}:job:ID                     hash: the job, how often it was started, why it last failed
//     {Q}:high {Q}:normal {Q}:low    streams: jobs that wait or run, a stream to a priority
//     {Q}:delayed                    sorted set: jobs that are not due yet, by when they are
//     {Q}:dead                       sorted set: dead letters, by when they died
//     {Q}:counts                     hash: how many were done
//     {Q}:wake                       stream: written to when somebody is due sooner than others
//     knew
//     {Q}:was:ID                     mark: the job of that id is over; or, of a request or report,
//     what the answer was; for an hour
//
// (The braces make all of them live on one node of a Redis Cluster.) Each stream has one consumer
// group, `workers`. XREADGROUP gives an entry to one consumer, and Redis remembers to which, and
// when: the entry is pending. XACK ends that. An entry that stays pending for longer than the lease
// belongs to a worker that has died, and XAUTOCLAIM gives it to another. A worker that is at work
// on a long job renews its lease, by XCLAIM for itself.
//
// The time is that of Redis, so the clocks of the machines need not agree. When it is not known
// whether a script was run, it can be run again, and finds that there is nothing to do. Where the
// job itself does not show that, since it is gone or has moved on, a mark does, for an hour: who is
// more patient than that may submit a job twice. A mark of a job takes about 130 bytes in Redis.
// The script that takes a job would take another. So a worker that has had no answer says which
// jobs it knows of, and gets the one that is pending for it beside those.

#pragma once

#include <string_view>

namespace task_queue::scripts {

// What the scripts share, and each of them begins with. KEYS[1] is {Q}.
inline constexpr std::string_view common_part = R"lua(
local queue = KEYS[1]
local group = 'workers'
local levels = {'high', 'normal', 'low'}
local delayed, dead, counts = queue .. ':delayed', queue .. ':dead', queue .. ':counts'

local function stream_of(level) return queue .. ':' .. level end
local function key_of(id) return queue .. ':job:' .. id end
local function integer(number) return string.format('%.0f', number) end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)  -- milliseconds

-- The end of the line of its priority.
local function line_up(id)
    local level = redis.call('HGET', key_of(id), 'priority')
    if level then
        redis.call('XADD', stream_of(level), '*', 'job', id)
    end
end

-- Wakes the workers where they sleep until somebody else is due, later.
local function put_off(id, pause)
    redis.call('ZADD', delayed, integer(now + pause), id)
    if redis.call('ZRANGE', delayed, 0, 0)[1] == id then
        redis.call('XADD', queue .. ':wake', 'MAXLEN', 1, '*', 'job', id)
    end
end

local function bury(id, why)
    redis.call('HSET', key_of(id), 'error', why)
    redis.call('ZADD', dead, integer(now), id)
end

local function mark_of(id) return queue .. ':was:' .. id end
local function leave_mark(id, text) redis.call('SET', mark_of(id), text, 'EX', 3600) end

-- ARGV: an id of this request, by which it is known when it comes again, and ids of jobs. Makes the
-- change to those of them that are dead letters, and gives their ids.
local function for_each_dead(change)
    local answered = redis.call('GET', mark_of(ARGV[1]))
    if answered then return cjson.decode(answered) end
    local found = {}
    for i = 2, #ARGV do
        local id = ARGV[i]
        if redis.call('ZREM', dead, id) == 1 then
            change(id)
            table.insert(found, id)
        end
    end
    leave_mark(ARGV[1], cjson.encode(found))
    return found
end

local function leave(stream, entry)
    redis.call('XACK', stream, group, entry)
    redis.call('XDEL', stream, entry)
end

local function is_pending(stream, entry, consumer)
    return #redis.call('XPENDING', stream, group, entry, entry, 1, consumer) == 1
end
)lua";

// Makes the streams and their groups, where there are none: at the first take, and after Redis has
// lost its data. What is in a stream already is given out, too.
inline constexpr std::string_view prepare = R"lua(
for _, level in ipairs(levels) do
    local made = redis.pcall('XGROUP', 'CREATE', stream_of(level), group, '0', 'MKSTREAM')
    if type(made) == 'table' and made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then
        return made
    end
end
)lua";

// ARGV: for each job its id, JSON, priority, delay, lifetime or '', and number of tries.
inline constexpr std::string_view submit = R"lua(
for i = 1, #ARGV, 6 do
    local id, job, level, delay = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
    local lifetime, max_tries = ARGV[i + 4], ARGV[i + 5]
    if redis.call('EXISTS', key_of(id), mark_of(id)) == 0 then
        redis.call('HSET', key_of(id), 'job', job, 'priority', level, 'tries', 0,
                   'max_tries', max_tries)
        if lifetime ~= '' then
            redis.call('HSET', key_of(id), 'deadline', integer(now + lifetime))
        end
        if delay > 0 then put_off(id, delay) else line_up(id) end
    end
end
)lua";

// ARGV: consumer, lease; and after a take that had no answer: 'again', and stream and entry of each
// job that the consumer knows it has. Gives {stream, entry, id, JSON, tries}; or, when nothing is
// ready, how long it is until something is due, or -1, and the last entry of each stream that can
// wake a sleeper.
inline constexpr std::string_view take = R"lua(
local consumer, lease, again = ARGV[1], ARGV[2], ARGV[3] == 'again'

for _, id in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', integer(now), 'LIMIT', 0, 100)) do
    redis.call('ZREM', delayed, id)
    line_up(id)
end

-- Counts a try of the job in this entry, which is pending for us; or gives nothing where it is not
-- to be run.
local function start(stream, entry)
    local id = entry[2][2]
    local job = redis.call('HMGET', key_of(id), 'job', 'tries', 'max_tries', 'deadline')
    if not job[1] then  -- it was done, by a worker that had been given up
        leave(stream, entry[1])
    elseif job[4] and now > tonumber(job[4]) then
        leave(stream, entry[1])
        bury(id, 'expired')
    elseif tonumber(job[2]) >= tonumber(job[3]) then
        leave(stream, entry[1])
        bury(id, 'its worker died')
    else
        return {stream, entry[1], id, job[1], redis.call('HINCRBY', key_of(id), 'tries', 1)}
    end
end

-- The entry that we were given, and do not know of, if there is one. Its try was counted, and has
-- not begun. Of one entry more than we know, one at least is unknown.
local function find_unanswered(stream)
    local known, count = {}, 1
    for i = 4, #ARGV, 2 do
        known[ARGV[i] .. ' ' .. ARGV[i + 1]] = true
        count = count + 1
    end
    for _, one in ipairs(redis.call('XPENDING', stream, group, '-', '+', count, consumer)) do
        if not known[stream .. ' ' .. one[1]] then
            local entry = redis.call('XCLAIM', stream, group, consumer, 0, one[1])[1]
            if entry and redis.call('EXISTS', key_of(entry[2][2])) == 1 then
                redis.call('HINCRBY', key_of(entry[2][2]), 'tries', -1)
            end
            return entry
        end
    end
end

-- The first entry whose worker has died, if there is one.
local function take_over(stream)
    local from = '0-0'
    repeat
        local claimed = redis.call('XAUTOCLAIM', stream, group, consumer, lease, from, 'COUNT', 1)
        from = claimed[1]
        if claimed[2][1] then return claimed[2][1] end
    until from == '0-0'
end

local function read(stream)
    local streams = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', 1,
                               'STREAMS', stream, '>')
    return streams and streams[1][2][1]
end

for _, level in ipairs(again and levels or {}) do
    local entry = find_unanswered(stream_of(level))
    local job = entry and start(stream_of(level), entry)
    if job then return job end
end

for _, level in ipairs(levels) do
    local stream = stream_of(level)
    repeat
        local entry = take_over(stream) or read(stream)
        local job = entry and start(stream, entry)
        if job then return job end
    until not entry
end

local next_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
local answer = {next_due[2] and math.max(0, next_due[2] - now) or -1}
for _, name in ipairs({'high', 'normal', 'low', 'wake'}) do
    local info = redis.pcall('XINFO', 'STREAM', stream_of(name))
    local last = '0-0'
    for i = 1, #info, 2 do
        if info[i] == 'last-generated-id' then last = info[i + 1] end
    end
    table.insert(answer, last)
end
return answer
)lua";

// ARGV: consumer, and stream and entry of each job that it runs. Renews the leases, and gives for
// each whether it was there to be renewed.
inline constexpr std::string_view renew = R"lua(
local consumer = ARGV[1]
local renewed = {}
for i = 2, #ARGV, 2 do
    local stream, entry = ARGV[i], ARGV[i + 1]
    local held = is_pending(stream, entry, consumer)
    if held then
        redis.call('XCLAIM', stream, group, consumer, 0, entry, 'JUSTID')
    end
    table.insert(renewed, held and 1 or 0)
end
return renewed
)lua";

// ARGV: stream, entry, id. Also when another has taken it over: it is done.
inline constexpr std::string_view done = R"lua(
local stream, entry, id = ARGV[1], ARGV[2], ARGV[3]
leave(stream, entry)
if redis.call('DEL', key_of(id)) == 1 then
    redis.call('ZREM', delayed, id)
    redis.call('ZREM', dead, id)
    redis.call('HINCRBY', counts, 'done', 1)
    leave_mark(id, 1)
end
)lua";

// ARGV: stream, entry, id, consumer, why, pause. Gives 1 when it is tried again, 0 when that was
// the last try, and -1 when it is not ours any more. A report that comes again is answered as the
// first time.
inline constexpr std::string_view failed = R"lua(
local stream, entry, id, consumer, why, pause = unpack(ARGV)
local report = id .. ' ' .. entry .. ' ' .. consumer
if not is_pending(stream, entry, consumer) then
    return tonumber(redis.call('GET', mark_of(report)) or -1)
end
leave(stream, entry)
local tries = redis.call('HMGET', key_of(id), 'tries', 'max_tries')
if not tries[1] then return -1 end
local answer = tonumber(tries[1]) < tonumber(tries[2]) and 1 or 0
if answer == 1 then
    redis.call('HSET', key_of(id), 'error', why)
    put_off(id, tonumber(pause))
else
    bury(id, why)
end
leave_mark(report, answer)
return answer
)lua";

// ARGV: stream, entry, id, consumer.
inline constexpr std::string_view give_back = R"lua(
local stream, entry, id, consumer = unpack(ARGV)
if is_pending(stream, entry, consumer) then
    leave(stream, entry)
    if redis.call('EXISTS', key_of(id)) == 1 then
        redis.call('HINCRBY', key_of(id), 'tries', -1)
        line_up(id)
    end
end
)lua";

// ARGV: consumer. Forgets it, and those that have had nothing for an hour. With a consumer goes the
// memory of what is pending for it, so only when that is nothing.
inline constexpr std::string_view say_goodbye = R"lua(
for _, level in ipairs(levels) do
    local stream = stream_of(level)
    local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
    for _, info in ipairs(consumers.err and {} or consumers) do  -- no stream: Redis has lost it
        local one = {}
        for i = 1, #info, 2 do one[info[i]] = info[i + 1] end
        if one.pending == 0 and (one.name == ARGV[1] or one.idle > 3600000) then
            redis.call('XGROUP', 'DELCONSUMER', stream, group, one.name)
        end
    end
end
)lua";

// Gives the numbers: waiting high, normal and low, running, delayed, until the next is due or -1,
// dead, done.
inline constexpr std::string_view status = R"lua(
local answer = {}
local running = 0
for _, level in ipairs(levels) do
    local stream = stream_of(level)
    local pending = redis.pcall('XPENDING', stream, group)
    local count = type(pending[1]) == 'number' and pending[1] or 0
    running = running + count
    table.insert(answer, redis.call('XLEN', stream) - count)
end
local next_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
table.insert(answer, running)
table.insert(answer, redis.call('ZCARD', delayed))
table.insert(answer, next_due[2] and math.max(0, next_due[2] - now) or -1)
table.insert(answer, redis.call('ZCARD', dead))
table.insert(answer, tonumber(redis.call('HGET', counts, 'done') or 0))
return answer
)lua";

// ARGV: from which place, how many. Gives {id, JSON, tries, error} for each.
inline constexpr std::string_view dead_letters = R"lua(
local letters = {}
for _, id in ipairs(redis.call('ZRANGE', dead, ARGV[1], ARGV[1] + ARGV[2] - 1)) do
    local job = redis.call('HMGET', key_of(id), 'job', 'tries', 'error')
    table.insert(letters, {id, job[1], tonumber(job[2]), job[3] or ''})
end
return letters
)lua";

// Both take the ARGV of for_each_dead().
inline constexpr std::string_view requeue = R"lua(
return for_each_dead(function(id)
    redis.call('HSET', key_of(id), 'tries', 0)
    redis.call('HDEL', key_of(id), 'deadline')
    line_up(id)
end)
)lua";

inline constexpr std::string_view forget = R"lua(
return for_each_dead(function(id)
    redis.call('DEL', key_of(id))
    leave_mark(id, 1)
end)
)lua";

}  // namespace task_queue::scripts
