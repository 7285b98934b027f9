-- Deliver an event again that was given up.
--
-- KEYS     the events that have to be delivered, the event, the events that were given up
-- ARGV     event id
--
-- Returns  1 if it will be delivered, 0 if there is no such event among those that were given up.

if redis.call("zrem", KEYS[3], ARGV[1]) == 0 or redis.call("exists", KEYS[2]) == 0 then
  return 0
end
redis.call("persist", KEYS[2])
redis.call("hset", KEYS[2], "tries", "0")
local time = redis.call("time")
redis.call("zadd", KEYS[1], time[1] + time[2] / 1e6, ARGV[1])
return 1
