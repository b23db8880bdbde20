function init(args)
    math.randomseed(os.time())
    wrk.path = args[1]
    rest(tonumber(args[2]))
    wrk.headers["Authorization"] = "Bearer " .. args[3]
    -- Made once: the client must not be what is measured.
    wanted = wrk.format("GET")
end

function request()
    return wanted
end
