# M/M/1 in SimPy as its own examples write it: a process a customer, a resource with one place. One line of JSON.
import json, random, resource, sys, time
import simpy

customers = int(sys.argv[1])
random.seed(1)
total = 0.0
env = simpy.Environment()
server = simpy.Resource(env, capacity=1)

def customer():
    global total
    came = env.now
    with server.request() as turn:
        yield turn
        yield env.timeout(random.expovariate(1.0))
    total += env.now - came

def source():
    for _ in range(customers):
        yield env.timeout(random.expovariate(0.9))
        env.process(customer())

env.process(source())
began = time.process_time()
env.run()
used = time.process_time() - began
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
# Initialize, request, timeout, release, process end, and the source's time-out: 6 a customer.
print(json.dumps({"customers": customers, "events": customers * 6, "cpuSeconds": used, "rssMegabytes": rss, "mean": total / customers}))
