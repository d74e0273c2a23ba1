#include "task_queue/records.hpp"

#include <boost/crc.hpp>

#include <cstdint>
#include <optional>

namespace task_queue {

namespace {

constexpr std::size_t number_size = 4;
constexpr std::size_t header_size = 2 * number_size;

std::string bytes_of(std::uint32_t number)
{
    std::string bytes;
    for (std::size_t i = 0; i < number_size; ++i) {
        bytes += static_cast<char>(number >> (8 * i) & 0xff);
    }
    return bytes;
}

std::uint32_t number_at(std::string_view bytes, std::size_t place)
{
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < number_size; ++i) {
        number |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[place + i]))
                  << (8 * i);
    }
    return number;
}

std::uint32_t checksum(std::string_view length, std::string_view record)
{
    boost::crc_32_type crc;
    crc.process_bytes(length.data(), length.size());
    crc.process_bytes(record.data(), record.size());
    return crc.checksum();
}

// The record that begins at `place`, if there is a whole one.
std::optional<std::string_view> record_at(std::string_view bytes, std::size_t place)
{
    if (bytes.size() - place < header_size) {
        return std::nullopt;
    }
    const auto length = number_at(bytes, place);
    if (length > bytes.size() - place - header_size) {
        return std::nullopt;
    }
    const auto record = bytes.substr(place + header_size, length);
    if (checksum(bytes.substr(place, number_size), record) !=
        number_at(bytes, place + number_size)) {
        return std::nullopt;
    }
    return record;
}

}  // namespace

std::string framed(std::string_view record)
{
    const auto length = bytes_of(static_cast<std::uint32_t>(record.size()));
    return length + bytes_of(checksum(length, record)) + std::string(record);
}

record_scan scan_records(std::string_view bytes)
{
    record_scan scan;
    while (const auto record = record_at(bytes, scan.valid_size)) {
        scan.records.push_back(*record);
        scan.valid_size += header_size + record->size();
    }
    for (auto place = scan.valid_size + 1; place < bytes.size() && !scan.damaged; ++place) {
        scan.damaged = record_at(bytes, place).has_value();
    }
    return scan;
}

}  // namespace task_queue
