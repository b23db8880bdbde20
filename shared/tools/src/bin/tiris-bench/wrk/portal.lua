-- Each line of the file is: token, trading, stock account, currency account.
local people, made, run = {}, 0, ""
local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init(args)
    math.randomseed(os.time() + number)
    rest(tonumber(args[2]))
    run = string.format("%d-%d-%d", os.time(), math.random(1000000), number)
    for line in io.lines(args[1]) do
        local token, trading, stock, currency = line:match("(%S+) (%S+) (%S+) (%S+)")
        people[#people + 1] = { token = token, trading = trading, stock = stock, currency = currency }
    end
end

function request()
    made = made + 1
    local who = people[made % #people + 1]
    local headers = { ["Authorization"] = "Bearer " .. who.token }
    local kind = math.random(10)
    if kind <= 4 then
        return wrk.format("GET", "/v1/sub-accounts/" .. who.currency, headers)
    elseif kind <= 6 then
        return wrk.format("GET", "/v1/sub-accounts", headers)
    elseif kind <= 8 then
        return wrk.format("GET", "/v1/transactions?limit=20&sub_account_id=" .. who.currency, headers)
    end
    headers["Content-Type"] = "application/json"
    headers["Idempotency-Key"] = run .. "-" .. made
    return wrk.format("POST", "/v1/sub-accounts/" .. who.currency .. "/deposit", headers, '{"amount":"0.000001"}')
end
