-- Rests are whole milliseconds; their mean is what was asked for.
if rest_micros > 0 then
    function delay()
        local millis = rest_micros / 1000 * 2 * math.random()
        return math.floor(millis + math.random())
    end
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        '{"requests":%d,"micros":%d,"broken":%d,"refused":%d,"p50":%d,"p99":%d}',
        summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.timeout,
        errors.status, latency:percentile(50), latency:percentile(99)))
end
