// Records in a file that only grows, and what is left of them after a crash.
//
// A program that dies while it appends leaves the beginning of a record at the end of the file.
// Whoever reads the file has to see that. So in front of each record stands its length, and a
// checksum of the length and the record:
//
//     length, 4 bytes | CRC-32, 4 bytes | the record          (the numbers: lowest byte first)
//
// A record counts when all of it is there, and the checksum is right. What follows the last one
// that does is a torn append, if it is the end: nobody was told that it is safe, so it can go. If
// there is a whole record behind it, it is something else, a damaged file. To drop the rest would
// lose jobs that were promised, so that is an error, and a person has to decide.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace task_queue {

// The bytes that stand in the file for a record.
std::string framed(std::string_view record);

struct record_scan {
    std::vector<std::string_view> records;  // parts of the bytes that were scanned
    std::size_t valid_size = 0;             // where the last of them ends
    bool damaged = false;                   // there are whole records behind what is no record
};

record_scan scan_records(std::string_view bytes);

}  // namespace task_queue
