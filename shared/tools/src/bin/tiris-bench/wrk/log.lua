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
    local body = string.format(
        '{"trading_id":"%s","type":"long","source":"bot","message":"bought","info":{"stock_account_id":"%s",'
        .. '"currency_account_id":"%s","price":"0.01","volume":"0.01","stock":"ETH","currency":"BTC","fee":"0.000001",'
        .. '"order_id":"o-%d"}}', who.trading, who.stock, who.currency, made)
    return wrk.format("POST", "/v1/trading-logs", {
        ["Authorization"] = "Bearer " .. who.token,
        ["Content-Type"] = "application/json",
        ["Idempotency-Key"] = run .. "-" .. made,
    }, body)
end
