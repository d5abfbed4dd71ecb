// deno run -A prof.ts WORK STEPS
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import { subjects } from "./models.ts";
import { cpuUsage } from "node:process";
const [work, n] = [Deno.args[0]!, Number(Deno.args[1])];
mx.random.seed(0);
const data = work === "mnist" ? { images: mx.random.randint(0,255,[12800,28,28,1]).astype(mx.uint8), labels: mx.random.randint(0,10,[12800]), order: mx.random.randint(0,12800,[n+3,128]), test_images: mx.zeros([1]), test_labels: mx.zeros([1]) }
 : { tokens: mx.random.randint(0,96,[100000]).astype(mx.uint8), starts: mx.random.randint(0,90000,[n+3,16]) };
mx.eval(data);
const s = subjects[work]!(data as never);
const lg = nn.valueAndGrad(s.model, s.loss);
s.optimizer.init(s.model.trainableParameters());
mx.eval(s.model.parameters(), s.optimizer.state);
const state=[s.model,s.optimizer];
const raw=(x: mx.NDArray,y: mx.NDArray)=>{const [v,g]=lg(x,y); s.optimizer.update(s.model,g); return v;};
const step = mx.compile(raw,{inputs:state,outputs:state});
for(let i=0;i<3;i++) step(...s.batch(i)).item();
const b=cpuUsage(), t=performance.now();
for(let i=0;i<n;i++) step(...s.batch(i+3)).item();
const u=cpuUsage(b);
console.log(work, "ms/step wall", ((performance.now()-t)/n).toFixed(2), "cpu", ((u.user+u.system)/1e3/n).toFixed(2));
