function request()
    sent = sent + 1
    local trader = traders[sent % #traders + 1]
    local headers = { ["Authorization"] = "Bearer " .. trader.token }
    local kind = math.random(10)
    if kind <= 4 then
        return wrk.format("GET", "/v1/sub-accounts/" .. trader.currency, headers)
    elseif kind <= 6 then
        return wrk.format("GET", "/v1/sub-accounts", headers)
    elseif kind <= 8 then
        return wrk.format("GET", "/v1/transactions?limit=20&sub_account_id=" .. trader.currency, headers)
    end
    headers["Content-Type"] = "application/json"
    headers["Idempotency-Key"] = run .. "-" .. sent
    return wrk.format("POST", "/v1/sub-accounts/" .. trader.currency .. "/deposit", headers, '{"amount":"0.000001"}')
end
