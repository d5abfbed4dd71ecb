/**
 * Optimizers (`mlx.optimizers`): the room is reserved for them and exports nothing yet. Gradients are
 * `mx.grad` and `mx.valueAndGrad`; a step of plain descent is `model.update(...)` with `p - rate * g` for each parameter.
 * @module
 */
export {};
