"""Soft-target distillation from the part net to the master net (TASN: Zheng, Fu, Zha and Luo, CVPR 2019)."""

import torch
from torch import Tensor

from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.precision import at_least_float32


def distillation_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float, *, detach: bool) -> Tensor:
    """Compute the cross-entropy between the softened class probabilities of teacher and student.

    L_soft = - sum_i q_teacher_i log q_student_i with q = softmax(z / T), averaged over the batch. Neither the paper nor
    the official code has a factor T^2. The caller applies the weight of the loss.

    Args:
        student_logits: (B, K), of the master net.
        teacher_logits: (B, K), of the part net.
        temperature: T, above 0; 10 in the official code.
        detach: treat the teacher as constant. The official code does not: its gradient reaches both nets.

    Returns:
        A scalar.

    Raises:
        ArgumentError: the logits differ in shape, are not (B, K) or are empty, or the temperature is not above 0.

    Example:
        Uniform predictions over four classes have the loss log 4.

        >>> import torch
        >>> distillation_loss(torch.zeros(2, 4), torch.zeros(2, 4), 10.0, detach=True)
        tensor(1.3863)
    """
    if student_logits.shape != teacher_logits.shape or student_logits.dim() != 2 or not student_logits.numel():
        raise ArgumentError(
            f"teacher logits {tuple(teacher_logits.shape)} do not fit student logits {tuple(student_logits.shape)}",
            "give (B, K) for the same images and the same classes",
        )
    if not temperature > 0:
        raise ArgumentError(f"the temperature is {temperature}", "give one above 0; the official code has 10")
    # The logits are in half precision under autocast, in which a softmax loses too much.
    student, teacher = at_least_float32(student_logits), at_least_float32(teacher_logits)
    if detach:
        teacher = teacher.detach()
    soft_targets = torch.softmax(teacher / temperature, dim=1)  # (B, K)
    return -(soft_targets * torch.log_softmax(student / temperature, dim=1)).sum(1).mean()
