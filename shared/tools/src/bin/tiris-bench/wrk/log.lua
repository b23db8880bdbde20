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
