// The quota of several edges: one script that Redis runs whole. The same decisions as `policy/quota/quota.ts`; the tests of
// that contract run against both. Redis' clock is the one clock.
//
// Keys: n numbers; h what each key has reserved; t what each has taken; s since when (for a reset); o of that what each edge
// took; r reservations; u until when each is reserved; i idempotency keys; d until when those that went through are
// remembered; g edges that have told what they know.
//
// A server that began anew may have lost something, or everything: nothing is reserved until the edges have told what they
// reserved and took themselves (shared-quotas.ts), all of them or those that came within `patienceMs`. What Redis still
// has and what an edge tells are not added: the greater counts, edge by edge and key by key.

import { defineScript, type Script } from '../../io/redis/script.ts'
import { keysMax } from '../../policy/quota/quota.ts'

const doneMs = 86_400_000
/** An edge that died ends nothing: what it had reserved for requests under way is free after this. Others renew theirs. */
const openMsMin = 600_000
/** An edge that does not come back from a lost server within this is not waited for. */
const patienceMs = 10_000

export const quotaScript: Script = defineScript(`
local n, h, t, s, r, u, i, d, o, g = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local kind = ARGV[1]
local stock, holdMs, resetMs, idempotent = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local edge, edges = ARGV[6], tonumber(ARGV[7])
local time = redis.call('TIME')
local us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(us / 1000)
local openMs = math.max(${openMsMin}, holdMs)
local function text(number) return string.format('%.0f', number) end
local function add(hash, field, change)
  if redis.call('HINCRBY', hash, field, text(change)) == 0 then redis.call('HDEL', hash, field) end
end
local function load(id)
  local raw = redis.call('HGET', r, id)
  return raw and cmsgpack.unpack(raw) or nil
end
local function save(id, x) redis.call('HSET', r, id, cmsgpack.pack(x)) end
local function free(id, x)
  redis.call('HDEL', r, id)
  redis.call('ZREM', u, id)
  if x.i ~= '' then redis.call('HDEL', i, x.i) end
  add(n, 'held', -x.q)
  for _, key in ipairs(x.k) do add(h, key, -x.q) end
end
local function hold(id, x, untilMs)
  save(id, x)
  redis.call('ZADD', u, text(untilMs), id)
  if x.i ~= '' then redis.call('HSET', i, x.i, id) end
  redis.call('HINCRBY', n, 'held', text(x.q))
  for _, key in ipairs(x.k) do redis.call('HINCRBY', h, key, text(x.q)) end
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
-- What this edge took of a key since its last reset.
local function own(key, since)
  local amount, from = string.match(redis.call('HGET', o, edge .. ' ' .. key) or '', '^(%d+) (%d+)$')
  return from == since and tonumber(amount) or 0
end
local function takeOf(key, quantity)
  redis.call('HINCRBY', t, key, text(quantity))
  redis.call('HSETNX', s, key, text(now))
  local since = redis.call('HGET', s, key)
  redis.call('HSET', o, edge .. ' ' .. key, text(own(key, since) + quantity) .. ' ' .. since)
end
local function takeStock(quantity)
  redis.call('HINCRBY', n, 'taken', text(quantity))
  redis.call('HINCRBY', n, 'taken ' .. edge, text(quantity))
end
local function remember(key, quantity)
  redis.call('HSET', i, key, 'd' .. text(quantity))
  redis.call('ZADD', d, text(now + ${doneMs}), key)
end
local function take(x)
  for _, key in ipairs(x.k) do
    used(key)
    takeOf(key, x.q)
  end
  takeStock(x.q)
  if x.i ~= '' then remember(x.i, x.q) end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', u, '-inf', text(now), 'LIMIT', 0, 200)) do
  local x = load(id)
  if x then free(id, x) else redis.call('ZREM', u, id) end
end
for _, key in ipairs(redis.call('ZRANGEBYSCORE', d, '-inf', text(now), 'LIMIT', 0, 200)) do
  redis.call('ZREM', d, key)
  redis.call('HDEL', i, key)
end

-- Where a server does not tell which it is, only one that is empty is noticed.
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or 'unknown'
local whole = redis.call('HGET', n, 'run') == run
if not whole and redis.call('HGET', n, 'asking') ~= run then
  redis.call('DEL', g)
  redis.call('HSET', n, 'asking', run, 'since', text(now))
end
local function enough()
  if redis.call('HLEN', g) >= edges then return true end
  return redis.call('HEXISTS', g, edge) == 1 and now - tonumber(redis.call('HGET', n, 'since')) >= ${patienceMs}
end
if not whole and enough() then
  redis.call('HSET', n, 'run', run)
  whole = true
end

if kind == 'counts' then
  local state = whole and 'counts' or (redis.call('HEXISTS', g, edge) == 1 and 'waits' or 'lost')
  return table.concat({state, redis.call('HGET', n, 'held') or '0', redis.call('HGET', n, 'taken') or '0',
    text(redis.call('HLEN', t))}, '|')
end
if kind == 'keys' then
  for _, one in ipairs(cjson.decode(ARGV[8])) do
    local key, amount, from = one[1], one[2], one[3]
    if resetMs == 0 or now - from < resetMs then
      used(key)
      redis.call('HSETNX', s, key, text(from))
      local missing = amount - own(key, redis.call('HGET', s, key))
      if missing > 0 then takeOf(key, missing) end
    end
  end
  return 'told'
end
if kind == 'done' then
  for _, one in ipairs(cjson.decode(ARGV[8])) do
    if redis.call('HEXISTS', i, one[1]) == 0 then remember(one[1], one[2]) end
  end
  return 'told'
end
if kind == 'holds' then
  for _, one in ipairs(cjson.decode(ARGV[8])) do
    local x = load(one.id)
    if not x then
      x = {k = one.k, q = one.q, i = one.i, n = one.n, e = edge}
      hold(one.id, x, now + (one.ms < 0 and openMs or one.ms))
    end
    x.m = ARGV[9]
    save(one.id, x)
  end
  return 'told'
end
if kind == 'all' then
  -- What this edge has reserved and does not know any more has ended.
  local at = '0'
  repeat
    local page = redis.call('HSCAN', r, at, 'COUNT', 500)
    at = page[1]
    for index = 1, #page[2], 2 do
      local x = load(page[2][index])
      if x and x.e == edge and x.m ~= ARGV[9] then free(page[2][index], x) end
    end
  until at == '0'
  local missing = tonumber(ARGV[8]) - tonumber(redis.call('HGET', n, 'taken ' .. edge) or 0)
  if missing > 0 then takeStock(missing) end
  redis.call('HSET', g, edge, '1')
  if not whole and enough() then redis.call('HSET', n, 'run', run) end
  return 'told'
end
if kind == 'renew' then
  for at = 8, #ARGV do redis.call('ZADD', u, 'XX', text(now + openMs), ARGV[at]) end
  return 'renewed'
end
if kind == 'end' then
  local id, ending = ARGV[8], ARGV[9]
  local x = load(id)
  if not x then
    -- Its time was over, and yet it went through: what is true is counted.
    -- Told twice, because the first answer was late.
    if redis.call('HEXISTS', i, 'ended ' .. id) == 1 then return 'ended|0|0|-1' end
    if ending == 'taken' then take({k = cjson.decode(ARGV[10]), q = tonumber(ARGV[11]), i = ARGV[12]}) end
    return 'late|0|0|-1'
  end
  x.n = x.n - 1
  if ending == 'taken' then
    free(id, x)
    take(x)
    redis.call('HSET', i, 'ended ' .. id, '1')
    redis.call('ZADD', d, text(now + 3600000), 'ended ' .. id)
  elseif ending == 'free' and x.n <= 0 and not x.w then free(id, x)
  else
    x.w = x.w or ending == 'unknown'
    save(id, x)
    if x.n <= 0 then redis.call('ZADD', u, text(now + holdMs), id) end
  end
  return 'ended|0|0|-1'
end

if not whole then return 'lost|0|0|-1' end
local quantity, idempotency = tonumber(ARGV[8]), ARGV[9]
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
      save(before, x)
      return 'held|' .. before .. '|0|-1'
    end
  end
end
local keys = {}
for at = 10, #ARGV, 2 do
  local key, amount = ARGV[at], tonumber(ARGV[at + 1])
  local left = amount - used(key)
  if quantity > left then return table.concat({'over', '0', text(math.max(0, left)), text((at - 10) / 2)}, '|') end
  keys[#keys + 1] = key
end
local left = stock - tonumber(redis.call('HGET', n, 'held') or 0) - tonumber(redis.call('HGET', n, 'taken') or 0)
if stock > 0 and quantity > left then return table.concat({'sold-out', '0', text(math.max(0, left)), '-1'}, '|') end
if redis.call('HLEN', t) + redis.call('HLEN', h) > ${keysMax} then return 'full|0|0|-1' end
-- Never a number of a former life of the server: who ends that one means another order.
local id = math.max(tonumber(redis.call('HGET', n, 'ids') or 0) + 1, us)
redis.call('HSET', n, 'ids', text(id))
hold(text(id), {k = keys, q = quantity, i = idempotency, n = 1, e = edge}, now + openMs)
return 'held|' .. text(id) .. '|0|-1'
`)
