"""Soft-target distillation from part to master net (TASN: Zheng, Fu, Zha and Luo, CVPR 2019)."""

import torch
from torch import Tensor

from fgbench.util.errors import FgbenchError


def distill(student_logits: Tensor, teacher_logits: Tensor, temperature: float, *, detach: bool) -> Tensor:
    """Cross-entropy of the student's softened classes under the teacher's.

    L_soft = - sum_i q_teacher_i log q_student_i with q = softmax(z / T), averaged over the batch. There is no factor
    T^2, neither in the paper nor in the official code: the weight of the loss is the caller's.

    Args:
        student_logits: (B, K), of the master net.
        teacher_logits: (B, K), of the part net.
        temperature: T, above 0; 10 in the official code.
        detach: whether the teacher is a constant. The official code's is not: there the gradient reaches both nets.

    Returns:
        A scalar.

    Raises:
        FgbenchError: logits of two shapes, not (B, K) or empty, or a temperature not above 0.
    """
    if student_logits.shape != teacher_logits.shape or student_logits.dim() != 2 or not student_logits.numel():
        raise FgbenchError(
            f"distilling logits of {tuple(teacher_logits.shape)} into {tuple(student_logits.shape)}",
            "both are (B, K), for the same images and the same classes",
        )
    if not temperature > 0:
        raise FgbenchError(
            f"distilling at a temperature of {temperature}", "give one above 0; the official code has 10"
        )
    teacher = teacher_logits.detach() if detach else teacher_logits
    wanted = torch.softmax(teacher / temperature, dim=1)
    return -(wanted * torch.log_softmax(student_logits / temperature, dim=1)).sum(1).mean()
