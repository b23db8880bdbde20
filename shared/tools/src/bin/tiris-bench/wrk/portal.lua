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
