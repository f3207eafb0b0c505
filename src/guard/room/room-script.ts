// The room of several edges: one script that Redis runs whole, so that joining, asking, admitting and leaving are decided
// one after the other for all of them. The same decisions as `policy/room/room.ts`, over sorted sets; the tests of that
// contract run against both. Redis' clock is the one clock.
//
// Keys: h numbers of the room; l line (place by order); b last signs of life of those who wait; i until when those inside
// may stay; e places; c places of persons; p codes by draw, until and after it; a places of a former life that have come
// back. A place is packed as s state (l line, o absent, g granted, a active, s suspect), c code, o order, n nonce, b binding, m moves, t since.
//
// A server that comes back empty is a new life of the room. Numbers of places go on from the time of its birth, so no old
// token names another person's place; and who shows a signed token of a former life has that place again, once.

import { defineScript, type Script } from '../../io/redis/script.ts'
import { lateOrder } from '../../policy/lottery/lottery.ts'
import { awakeMs, movesMax } from '../../policy/room/contract.ts'

/** Of one call, so that no call holds Redis for long; the next one goes on. */
const stepsMax = 300

export const roomScript: Script = defineScript(`
local h, l, b, i, e, c, p, a = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local kind = ARGV[1]
local token, askedId, nonce = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local code, draw, binding = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local direct, forever = ARGV[8] == '1', ARGV[9] == '1'
local activeMax, perMinute = tonumber(ARGV[10]), tonumber(ARGV[11])
local opensAt, preFrom, lottery = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14] == '1'
local sessionMs, graceMs, grantMs = tonumber(ARGV[15]), tonumber(ARGV[16]), tonumber(ARGV[17])
local placesMax, knownEdition, argument = tonumber(ARGV[18]), tonumber(ARGV[19]), ARGV[20]
local heldCode = tonumber(ARGV[21])

local time = redis.call('TIME')
local us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local wall = math.floor(us / 1000)
local now = wall - 1700000000000

local names = {'mode', 'edition', 'drawn', 'opened', 'ids', 'nonces', 'credit', 'creditAt', 'admitted', 'since', 'goneMs', 'gone', 'swept', 'granted', 'suspects', 'born'}
local r = {}
for at, value in ipairs(redis.call('HMGET', h, unpack(names))) do r[names[at]] = value or false end
local mode = r.mode or ARGV[22]
for _, name in ipairs(names) do if name ~= 'mode' and r[name] then r[name] = tonumber(r[name]) end end
local fresh = not r.edition
for _, name in ipairs({'opened', 'ids', 'nonces', 'credit', 'admitted', 'since', 'goneMs', 'gone', 'swept', 'granted', 'suspects'}) do r[name] = r[name] or 0 end
r.creditAt = r.creditAt or us
r.born = r.born or 0
if fresh then
  r.ids, r.born = us, us
  r.edition, r.drawn = opensAt, opensAt == 0 and 1 or 0
  r.credit = 12000000000 + perMinute * 60000000
end
local another
if r.drawn == 1 then another = opensAt > r.opened else another = redis.call('HLEN', e) == 0 end
if another and opensAt ~= r.edition then
  redis.call('DEL', l, b, i, e, c, p)
  r.edition, r.opened, r.since, r.granted, r.suspects = opensAt, 0, 0, 0, 0
  r.drawn = opensAt == 0 and 1 or 0
end

local function text(number) return string.format('%.0f', number) end
local function load(id)
  local raw = redis.call('HGET', e, text(id))
  if not raw then return nil end
  local x = cmsgpack.unpack(raw)
  x.id = id
  return x
end
local function save(x)
  redis.call('HSET', e, text(x.id), cmsgpack.pack({s = x.s, c = x.c, o = x.o, n = x.n, b = x.b, m = x.m, t = x.t}))
end
local function answer(state, x, ahead)
  r.mode = mode
  local out = {}
  for _, name in ipairs(names) do
    out[#out + 1] = name
    out[#out + 1] = name == 'mode' and mode or text(r[name])
  end
  redis.call('HSET', h, unpack(out))
  local inside = redis.call('ZCARD', i)
  local waiting = redis.call('ZCARD', b) - r.suspects
  return table.concat({state, x and text(x.id) or '0', x and text(x.n) or '0', text(ahead or -1), x and text(x.c) or '0',
    text(inside), text(inside * now - r.since), text(r.goneMs), text(r.gone), text(r.edition), text(r.drawn), mode,
    text(waiting), text(r.granted), text(r.suspects), text(r.admitted)}, '|')
end
local function inside(x) return x.s == 'g' or x.s == 'a' end
local function remove(x)
  local id = text(x.id)
  if inside(x) then
    local till = tonumber(redis.call('ZSCORE', i, id) or now)
    redis.call('ZREM', i, id)
    r.since = r.since - x.t
    r.goneMs, r.gone = r.goneMs + math.max(0, math.min(now, till) - x.t), r.gone + 1
    if r.gone >= 2000 then r.goneMs, r.gone = math.floor(r.goneMs / 2), r.gone / 2 end
    if x.s == 'g' then r.granted = r.granted - 1 end
  else
    redis.call('ZREM', l, id)
    redis.call('ZREM', b, id)
    if x.s == 's' then r.suspects = r.suspects - 1 end
  end
  redis.call('HDEL', e, id)
  if x.c ~= 0 and redis.call('HGET', c, text(x.c)) == id then redis.call('HDEL', c, text(x.c)) end
  if r.drawn == 0 and x.c ~= 0 then redis.call('ZREM', p, text(x.c)) end
end
local function over(x)
  if inside(x) then return now >= tonumber(redis.call('ZSCORE', i, text(x.id)) or 0) end
  return now - tonumber(redis.call('ZSCORE', b, text(x.id)) or 0) > graceMs
end
local function sweep()
  if now - r.swept < 200 then return end
  r.swept = now
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', b, '-inf', '(' .. text(now - graceMs), 'LIMIT', 0, ${stepsMax})) do
    local x = load(tonumber(id))
    if x then remove(x) else redis.call('ZREM', b, id) end
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', i, '-inf', text(now), 'LIMIT', 0, ${stepsMax})) do
    local x = load(tonumber(id))
    if x then remove(x) else redis.call('ZREM', i, id) end
  end
end
local function admitOne()
  local person = 12000000000
  local most = person + perMinute * 60000000
  local elapsed = math.min(math.max(0, us - r.creditAt), math.ceil(most / (perMinute * 199)))
  r.credit = math.min(most, r.credit + elapsed * perMinute * 199)
  r.creditAt = math.max(r.creditAt, us)
  if r.credit < person then return false end
  r.credit = r.credit - person
  return true
end
local function grant(x)
  r.nonces = r.nonces + 1
  x.n, x.s, x.t = r.nonces, 'g', now
  redis.call('ZREM', l, text(x.id))
  redis.call('ZREM', b, text(x.id))
  redis.call('ZADD', i, text(now + grantMs), text(x.id))
  r.since, r.admitted, r.granted = r.since + now, r.admitted + 1, r.granted + 1
  save(x)
end
local function advance()
  sweep()
  if mode ~= 'open' or wall < opensAt then return end
  if r.drawn == 0 then r.drawn, r.opened = 1, opensAt end
  local count = redis.call('ZCARD', i)
  for _ = 1, ${stepsMax} do
    if count >= activeMax then return end
    local first = redis.call('ZRANGE', l, 0, 0)[1]
    if not first then return end
    local x = load(tonumber(first))
    if not x then redis.call('ZREM', l, first)
    elseif now - tonumber(redis.call('ZSCORE', b, first) or 0) > math.min(${awakeMs}, graceMs) then
      redis.call('ZREM', l, first)
      x.s = 'o'
      save(x)
    elseif not admitOne() then return
    else
      grant(x)
      count = count + 1
    end
  end
end
local function mayEnter(x)
  if token == 2 and nonce ~= x.n then return answer('used') end
  if token == 3 then return answer('gone') end
  if not (kind == 'enter' and (token == 2 or direct)) then return answer('granted', x, 0) end
  r.nonces = r.nonces + 1
  x.n, x.b, x.s = r.nonces, binding, 'a'
  r.granted = r.granted - 1
  redis.call('ZADD', i, text(now + sessionMs), text(x.id))
  save(x)
  return answer('in', x, 0)
end
local function isIn(x)
  if token == 2 then return answer('used') end
  if token == 3 and nonce ~= x.n then return answer('moved') end
  if binding ~= x.b then
    if kind ~= 'enter' then return answer('moved') end
    if x.m >= ${movesMax} then
      remove(x)
      return answer('moved')
    end
    x.m, x.b = x.m + 1, binding
    if token ~= 3 then
      r.nonces = r.nonces + 1
      x.n = r.nonces
    end
    save(x)
  end
  return answer('in', x, 0)
end
local function waits(x)
  if x.s == 'g' then return mayEnter(x) end
  if mode == 'closed' or mode == 'sold-out' then return answer(mode, x) end
  if wall < opensAt then return answer('early', x) end
  if x.s == 's' then
    local honest = redis.call('ZCOUNT', l, '-inf', '(' .. text(x.o))
    return answer('waiting', x, math.max(honest, 3 + x.id % 17))
  end
  return answer('waiting', x, redis.call('ZRANK', l, text(x.id)) or 0)
end
local function joins()
  if token == 2 then return answer('used') end
  if mode == 'closed' or mode == 'sold-out' then return answer(mode) end
  if wall < preFrom and wall < opensAt then return answer('before') end
  if lottery and code == 0 then return answer('person') end
  local there = forever and r.suspects or redis.call('ZCARD', b) - r.suspects
  if there >= placesMax then return answer('full') end
  local drawnLater = r.drawn == 0 and lottery
  r.ids = r.ids + 1
  local x = {id = r.ids, s = forever and 's' or 'l', c = code, n = 0, b = 0, m = 0, t = 0}
  x.o = drawnLater and draw or ${lateOrder} + r.ids
  save(x)
  redis.call('ZADD', b, text(now), text(x.id))
  if code ~= 0 then redis.call('HSET', c, text(code), text(x.id)) end
  if forever then r.suspects = r.suspects + 1 else
    redis.call('ZADD', l, text(x.o), text(x.id))
    if drawnLater then redis.call('ZADD', p, text(draw), text(code)) end
  end
  advance()
  return waits(load(x.id))
end
local function find()
  local x = token > 0 and load(askedId) or nil
  if x and kind ~= 'look' and x.c ~= code then
    if x.c == 0 and redis.call('HEXISTS', c, text(code)) == 0 then
      x.c = code
      redis.call('HSET', c, text(code), text(x.id))
      save(x)
    else x = nil end
  end
  if not x and code ~= 0 then
    local id = redis.call('HGET', c, text(code))
    if id then x = load(tonumber(id)) end
  end
  if x and over(x) then
    remove(x)
    return nil
  end
  return x
end

-- Of a former life: it was never given in this one.
local function isFormer()
  return token > 0 and (askedId <= r.born or askedId > r.ids)
end
-- Shown by the person that it was signed for, who has no other place: as it was, once. The room does not know any more who was
-- suspected: that is asked anew.
local function comesBack()
  if kind ~= 'enter' or not isFormer() then return nil end
  if heldCode ~= 0 and heldCode ~= code then return nil end
  if code ~= 0 and redis.call('HEXISTS', c, text(code)) == 1 then return nil end
  if mode == 'closed' or mode == 'sold-out' then
    if token ~= 3 then return nil end
  elseif redis.call('ZCARD', b) - r.suspects >= placesMax then return nil end
  if redis.call('SADD', a, text(askedId)) == 0 then return nil end
  local x = {id = askedId, s = 'l', c = code, o = ${lateOrder} + askedId, n = nonce, b = binding, m = 0, t = now}
  if lottery and code ~= 0 and askedId < opensAt * 1000 then
    x.o = draw
    redis.call('ZADD', p, text(draw), text(code))
  end
  if code ~= 0 then redis.call('HSET', c, text(code), text(x.id)) end
  r.nonces = math.max(r.nonces, nonce)
  if token == 1 then
    redis.call('ZADD', b, text(now), text(x.id))
    redis.call('ZADD', l, text(x.o), text(x.id))
  else
    x.s = token == 2 and 'g' or 'a'
    if token == 2 then r.granted = r.granted + 1 end
    redis.call('ZADD', i, text(now + (token == 2 and grantMs or sessionMs)), text(x.id))
    r.since = r.since + now
  end
  save(x)
  return x
end

if kind == 'mode' then
  mode = argument
  advance()
  return answer('counts')
end
if kind == 'revoke' then
  local x = load(code == 0 and askedId or tonumber(redis.call('HGET', c, text(code)) or 0))
  if x then remove(x) end
  return answer(x and 'revoked' or 'gone')
end
advance()
if kind == 'counts' then return answer('counts') end
if lottery and r.drawn == 0 and code ~= 0 and knownEdition ~= r.edition then return answer('edition') end
local x = find() or comesBack()
if kind == 'leave' or kind == 'done' then
  local may
  if kind == 'done' then may = x and x.s == 'a' else may = x and token ~= 0 end
  if may then remove(x) end
  return answer('gone')
end
if not x then
  -- A page that hears this loads anew, and so comes back.
  if kind == 'look' and isFormer() and redis.call('SISMEMBER', a, text(askedId)) == 0 then return answer('away') end
  if kind == 'look' then return answer('gone') end
  return joins()
end
if x.s == 'a' then return isIn(x) end
if x.s == 'g' then return mayEnter(x) end
redis.call('ZADD', b, text(now), text(x.id))
if token == 2 then return answer('used') end
if kind == 'enter' and forever and x.s ~= 's' then
  redis.call('ZREM', l, text(x.id))
  x.s = 's'
  r.suspects = r.suspects + 1
  save(x)
elseif kind == 'enter' and not forever and x.s == 's' then
  r.ids = r.ids + 1
  x.s, x.o = 'l', ${lateOrder} + r.ids
  r.suspects = r.suspects - 1
  redis.call('ZADD', l, text(x.o), text(x.id))
  save(x)
end
if x.s == 'o' then
  x.s = 'l'
  redis.call('ZADD', l, text(x.o), text(x.id))
  save(x)
end
advance()
return waits(load(x.id))
`)
