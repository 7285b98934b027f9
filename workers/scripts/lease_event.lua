-- Lease the first event that is due and whose receiver has room: nobody else delivers it until
-- the lease is over.
--
-- KEYS[1]  the events that have to be delivered, by the moment at which they are due
-- ARGV     lease (s), events to pass over, events to look at, then the receivers without room
--
-- Counts the try before it is made: an event that ends whoever delivers it must end as well.
--
-- Returns  {events looked at}, and if one of them was leased also its id, its receiver, and its
--          fields and values as a flat list

local full = {}
for index = 4, #ARGV do
  full[ARGV[index]] = true
end

local time = redis.call("time")
local now = time[1] + time[2] / 1e6
local due = redis.call("zrange", KEYS[1], "-inf", now, "byscore", "limit", ARGV[2], ARGV[3])
for _, event_id in ipairs(due) do
  local event = "event:" .. event_id
  local url = redis.call("hget", event, "url")
  if not url then
    redis.call("zrem", KEYS[1], event_id)
  else
    -- Scheme, host and port.
    local receiver = string.lower(string.match(url, "^[^:]*://[^/?#]*") or url)
    if not full[receiver] then
      redis.call("hincrby", event, "tries", 1)
      redis.call("zadd", KEYS[1], now + ARGV[1], event_id)
      return {#due, event_id, receiver, redis.call("hgetall", event)}
    end
  end
end
return {#due}
