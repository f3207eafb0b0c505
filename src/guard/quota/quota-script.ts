// The quota of several edges: one script that Redis runs whole. The same decisions as `policy/quota/quota.ts`; the tests of
// that contract run against both. Redis' clock is the one clock.
//
// Keys: n numbers; h what each key has reserved; t what each has taken; s since when (for a reset); r reservations; u until
// when each is reserved; i idempotency keys; d until when those that went through are remembered.

import { defineScript, type Script } from '../../io/redis/script.ts'
import { keysMax } from '../../policy/quota/quota.ts'

const doneMs = 86_400_000
/** An edge that died ends nothing: what it had reserved for requests under way is free after this. */
const openMsMin = 600_000

export const quotaScript: Script = defineScript(`
local n, h, t, s, r, u, i, d = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local kind = ARGV[1]
local stock, holdMs, resetMs, idempotent = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(number) return string.format('%.0f', number) end
local function add(hash, field, change)
  if redis.call('HINCRBY', hash, field, text(change)) == 0 then redis.call('HDEL', hash, field) end
end
local function load(id)
  local raw = redis.call('HGET', r, id)
  return raw and cmsgpack.unpack(raw) or nil
end
local function free(id, x)
  redis.call('HDEL', r, id)
  redis.call('ZREM', u, id)
  if x.i ~= '' then redis.call('HDEL', i, x.i) end
  add(n, 'held', -x.q)
  for _, key in ipairs(x.k) do add(h, key, -x.q) end
end
local function used(key)
  if resetMs > 0 then
    local since = redis.call('HGET', s, key)
    if since and now - tonumber(since) >= resetMs then
      redis.call('HDEL', t, key)
      redis.call('HDEL', s, key)
    end
  end
  return tonumber(redis.call('HGET', h, key) or 0) + tonumber(redis.call('HGET', t, key) or 0)
end
local function take(x)
  for _, key in ipairs(x.k) do
    used(key)
    redis.call('HINCRBY', t, key, text(x.q))
    redis.call('HSETNX', s, key, text(now))
  end
  redis.call('HINCRBY', n, 'taken', text(x.q))
  if x.i ~= '' then
    redis.call('HSET', i, x.i, 'd' .. text(x.q))
    redis.call('ZADD', d, text(now + ${doneMs}), x.i)
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', u, '-inf', text(now), 'LIMIT', 0, 200)) do
  local x = load(id)
  if x then free(id, x) else redis.call('ZREM', u, id) end
end
for _, key in ipairs(redis.call('ZRANGEBYSCORE', d, '-inf', text(now), 'LIMIT', 0, 200)) do
  redis.call('ZREM', d, key)
  redis.call('HDEL', i, key)
end

if kind == 'counts' then
  return table.concat({'counts', redis.call('HGET', n, 'held') or '0', redis.call('HGET', n, 'taken') or '0',
    text(redis.call('HLEN', t))}, '|')
end
if kind == 'end' then
  local id, ending = ARGV[6], ARGV[7]
  local x = load(id)
  if not x then
    -- Its time was over, and yet it went through: what is true is counted.
    -- Told twice, because the first answer was late.
    if redis.call('HEXISTS', i, 'ended ' .. id) == 1 then return 'ended|0|0|-1' end
    if ending == 'taken' then take({k = cjson.decode(ARGV[8]), q = tonumber(ARGV[9]), i = ARGV[10]}) end
    return 'late|0|0|-1'
  end
  x.n = x.n - 1
  if ending == 'taken' then
    free(id, x)
    take(x)
    redis.call('HSET', i, 'ended ' .. id, '1')
    redis.call('ZADD', d, text(now + 3600000), 'ended ' .. id)
  elseif ending == 'free' and x.n <= 0 then free(id, x)
  else
    redis.call('HSET', r, id, cmsgpack.pack(x))
    if ending == 'unknown' then redis.call('ZADD', u, text(now + holdMs), id) end
  end
  return 'ended|0|0|-1'
end

local quantity, idempotency = tonumber(ARGV[6]), ARGV[7]
if idempotency ~= '' then
  local before = redis.call('HGET', i, idempotency)
  if before then
    local done = string.sub(before, 1, 1) == 'd'
    local x = not done and load(before) or nil
    local was = done and tonumber(string.sub(before, 2)) or (x and x.q)
    if was then
      if not idempotent or was ~= quantity then return 'repeated|0|0|-1' end
      if done then return 'counted|0|0|-1' end
      x.n = x.n + 1
      redis.call('HSET', r, before, cmsgpack.pack(x))
      return 'held|' .. before .. '|0|-1'
    end
  end
end
local keys = {}
for at = 8, #ARGV, 2 do
  local key, amount = ARGV[at], tonumber(ARGV[at + 1])
  local left = amount - used(key)
  if quantity > left then return table.concat({'over', '0', text(math.max(0, left)), text((at - 8) / 2)}, '|') end
  keys[#keys + 1] = key
end
local left = stock - tonumber(redis.call('HGET', n, 'held') or 0) - tonumber(redis.call('HGET', n, 'taken') or 0)
if stock > 0 and quantity > left then return table.concat({'sold-out', '0', text(math.max(0, left)), '-1'}, '|') end
if redis.call('HLEN', t) + redis.call('HLEN', h) > ${keysMax} then return 'full|0|0|-1' end
local id = text(redis.call('HINCRBY', n, 'ids', 1))
redis.call('HSET', r, id, cmsgpack.pack({k = keys, q = quantity, i = idempotency, n = 1}))
redis.call('ZADD', u, text(now + math.max(${openMsMin}, holdMs)), id)
if idempotency ~= '' then redis.call('HSET', i, idempotency, id) end
redis.call('HINCRBY', n, 'held', text(quantity))
for _, key in ipairs(keys) do redis.call('HINCRBY', h, key, text(quantity)) end
return 'held|' .. id .. '|0|-1'
`)
