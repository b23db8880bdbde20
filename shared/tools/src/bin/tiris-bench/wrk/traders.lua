-- Each line of the file: token, trading, stock account, currency account.
local traders, sent, run = {}, 0, ""
local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init(args)
    math.randomseed(os.time() + number)
    pause(tonumber(args[2]))
    run = string.format("%d-%d-%d", os.time(), math.random(1000000), number)
    for line in io.lines(args[1]) do
        local token, trading, stock, currency = line:match("(%S+) (%S+) (%S+) (%S+)")
        traders[#traders + 1] = { token = token, trading = trading, stock = stock, currency = currency }
    end
end
