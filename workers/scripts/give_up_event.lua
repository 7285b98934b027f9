-- Deliver an event no more, on behalf of one try at delivering it; operators can read it for a
-- while.
--
-- KEYS     the events that have to be delivered, the event, the events that were given up by the
--          moment at which they were
-- ARGV     event id, number of the try, why it failed, time to live (s), events to remember
--
-- Returns  1 if the event was given up, 0 if it was leased again since, or is not there any more.

if redis.call("hget", KEYS[2], "tries") ~= ARGV[2] or redis.call("zrem", KEYS[1], ARGV[1]) == 0 then
  return 0
end
local time = redis.call("time")
local now = time[1] + time[2] / 1e6
redis.call("hset", KEYS[2], "failure", ARGV[3])
redis.call("expire", KEYS[2], ARGV[4])
redis.call("zadd", KEYS[3], now, ARGV[1])
redis.call("zremrangebyscore", KEYS[3], "-inf", now - ARGV[4])
redis.call("zremrangebyrank", KEYS[3], 0, -(ARGV[5] + 1))
return 1
