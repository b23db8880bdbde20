function init(args)
    math.randomseed(os.time())
    wrk.path = args[1]
    pause(tonumber(args[2]))
    wrk.headers["Authorization"] = "Bearer " .. args[3]
    -- Formatted once, so that the client is not the bottleneck.
    formatted = wrk.format("GET")
end

function request()
    return formatted
end
