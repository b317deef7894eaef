-- Calls of the trigger for wrk. After `--`: key, prefix of the addresses, how many there are, recipients of a call.
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("place", threads)
end

function init(args)
  key, prefix, people, recipients = args[1], args[2], tonumber(args[3]), tonumber(args[4])
  number = place * 7919
end

function request()
  local parts = {}
  for _ = 1, recipients do
    number = number % people + 1
    parts[#parts + 1] = string.format(
      '{"email":"%s%d@example.org","context":{"reset_url":"https://shop.northwind.example/r/%d"}}',
      prefix, number, number)
  end
  local body = '{"recipients":[' .. table.concat(parts, ",") .. "]}"
  local headers = { ["Authorization"] = "Bearer " .. key, ["Content-Type"] = "application/json" }
  return wrk.format("POST", nil, headers, body)
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"answers":%d,"seconds":%f,"refused":%d,"p50_ms":%f,"p99_ms":%f}\n',
    summary.requests, summary.duration / 1e6, errors.status + errors.connect + errors.read + errors.write +
    errors.timeout, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
