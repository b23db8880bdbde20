-- Sets the mean pause of a connection between a response and its next request. Pauses are whole milliseconds.
function pause(micros)
    if micros > 0 then
        function delay()
            return math.floor(micros / 1000 * 2 * math.random() + math.random())
        end
    end
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        '{"requests":%d,"micros":%d,"broken":%d,"refused":%d,"p50":%d,"p99":%d}',
        summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.timeout,
        errors.status, latency:percentile(50), latency:percentile(99)))
end
