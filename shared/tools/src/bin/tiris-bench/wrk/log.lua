function request()
    sent = sent + 1
    local trader = traders[sent % #traders + 1]
    local body = string.format(
        '{"trading_id":"%s","type":"long","source":"bot","message":"bought","info":{"stock_account_id":"%s",'
        .. '"currency_account_id":"%s","price":"0.01","volume":"0.01","stock":"ETH","currency":"BTC","fee":"0.000001",'
        .. '"order_id":"%s-%d"}}', trader.trading, trader.stock, trader.currency, run, sent)
    return wrk.format("POST", "/v1/trading-logs", {
        ["Authorization"] = "Bearer " .. trader.token,
        ["Content-Type"] = "application/json",
        ["Idempotency-Key"] = run .. "-" .. sent,
    }, body)
end
